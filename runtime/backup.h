// Copies of a data folder that hold together, and a data folder made of one.
//
// A place for backups holds one folder per backup, named by its time; files that did not change since the one
// before are hard links to it. Each is whole by itself: `backup.json`, and the files below `data`. What is
// unfinished has a name that begins with a dot and is taken away by the next backup. docs/turns.md says why a
// cut is consistent.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "runtime/key.h"

namespace troupe {

class host;

struct backup_options {
  /// Folders and files of the data folder, beside the actors', that belong to it.
  std::vector<std::string> also = {};
  /// Kinds of actors; folders of other names hold none. Empty: all.
  std::vector<std::string> kinds = {};
  /// What is being done, how many are done and how many there are; false stops, which throws storage::error
  /// (interrupted).
  std::function<bool(std::string_view what, std::size_t done, std::size_t all)> progress = {};
};

struct backup_result {
  std::filesystem::path at;
  std::size_t actors = 0, copied = 0, unchanged = 0;
  std::uintmax_t bytes = 0;  ///< copied
  /// Those whose files are broken: they were copied as they are, and are quarantined again where they are
  /// restored.
  std::vector<key> damaged;
  /// How long messages between actors waited.
  std::chrono::milliseconds held{0};
};
nlohmann::json to_json(const backup_result&);

/// Of a running host, which goes on. Blocking; not on a scheduler thread.
backup_result back_up(host&, const std::filesystem::path& place, const backup_options& = {});
/// Of a folder that no server has; throws data_folder_in_use.
backup_result back_up(const std::filesystem::path& data, const std::filesystem::path& place,
                      const backup_options& = {});

/// Finished backups of a place, oldest first.
std::vector<std::filesystem::path> backups_in(const std::filesystem::path& place);

struct restore_result {
  std::filesystem::path from, data;
  std::size_t actors = 0;
  std::size_t with_work = 0;  ///< of them, those that go on with something at the next start
};
nlohmann::json to_json(const restore_result&);

/// Makes the data folder `data`, which must not be there or be empty, of a backup (or of the newest of a
/// place). Every actor gets a new incarnation, known to all whom it exchanged messages with: what clients
/// remember of the time after the backup is recognized as of another life, and what was under way is sent
/// again, to be applied once.
restore_result restore(const std::filesystem::path& backup, const std::filesystem::path& data,
                       const backup_options& = {});

}  // namespace troupe
