// One thing that happened to a file, as a disk is told of it, and the record of a whole run: what a test
// stops at every step of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace troupe::storage::testing {

struct disk_event {
  enum class kind : std::uint8_t {
    created,  // exists, not yet on the disk
    written,
    truncated,  // to `offset` bytes
    synced,
    sync_failed,
    removed,  // from the folder, not yet on the disk
    folder_synced,
  };
  kind is = kind::written;
  std::uint64_t offset = 0;
  std::string bytes{};
};

// Every event of every file in the order of the run; `file` counts in `files`.
struct disk_record {
  struct file {
    std::string path;
    std::optional<std::string> before;  // its content when it was first opened; nullopt: it was not there
  };
  struct entry {
    std::size_t file;
    disk_event event;
  };
  std::vector<file> files;
  std::vector<entry> events;
};

}  // namespace troupe::storage::testing
