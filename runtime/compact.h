// Gives the disk back what deleted rows left free in the files of a data folder at rest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace troupe {

struct compact_options {
  /// Kinds of actors; folders of other names hold none. Empty: all.
  std::vector<std::string> kinds = {};
  /// Files done and in all; false stops.
  std::function<bool(std::size_t done, std::size_t all)> progress = {};
};

struct compact_result {
  std::size_t files = 0, smaller = 0;
  std::uintmax_t before = 0, after = 0;  ///< bytes, logs included
  /// Files that were left as they are, and why: broken, or of a newer program.
  std::vector<std::string> left;
};

/// Each file is written anew inside one transaction of SQLite: whoever is killed on the way, every file is
/// the old one or the new one. Throws data_folder_in_use when a server has the folder, storage::error when a
/// disk is full or fails.
compact_result compact(const std::filesystem::path& data, const compact_options& = {});

}  // namespace troupe
