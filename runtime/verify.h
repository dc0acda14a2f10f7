// Whether a data folder is whole: every file by itself, every pair of actors against each other, the
// directory against the files. Reads only. On a folder at rest, on a backup, and beside a running server:
// there, what moves meanwhile is read in the order that raises no false alarm.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runtime/key.h"
#include "storage/database.h"
#include "storage/reader.h"

namespace troupe {

struct verify_finding {
  std::string actor;  ///< its key, or the path of a file that belongs to none
  std::string what;
};

struct verify_result {
  std::size_t actors = 0;
  std::uintmax_t bytes = 0;
  /// Pairs of actors and lanes that exchanged messages; messages that their target has not applied yet.
  std::size_t pairs = 0, waiting = 0;
  std::vector<verify_finding> findings;

  bool whole() const { return findings.empty(); }
};

struct verify_options {
  storage::check_depth depth = storage::check_depth::quick;
  /// Folders of other kinds are none of actors (a sandbox's files, say). Empty: every folder may be.
  std::vector<std::string> kinds = {};
  /// What a kind knows to check in its own tables; calls `broken` for each thing wrong.
  std::function<void(const key&, storage::reader&, const std::function<void(std::string)>& broken)> also = {};
  /// Files looked at so far and in all; false stops, with an exception.
  std::function<bool(std::size_t done, std::size_t all)> progress = {};
  const char* vfs = nullptr;  ///< for tests of faults
};

/// Throws storage::error when the folder itself cannot be read.
verify_result verify(const std::filesystem::path& data, const verify_options& = {});

/// The actors whose files lie in a folder, in the order of their keys. `kinds` as above.
std::vector<key> actors_in(const std::filesystem::path& data, const std::vector<std::string>& kinds = {});

}  // namespace troupe
