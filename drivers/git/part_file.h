// A file that is being written: gone again unless it is kept, and then on the disk for good.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "drivers/daemon/failed.h"

namespace troupe::drivers::git {

// One thread at a time. Errors are kept: after the first nothing is written any more.
class part_file {
 public:
  explicit part_file(std::filesystem::path path);
  ~part_file();
  part_file(const part_file&) = delete;
  part_file& operator=(const part_file&) = delete;

  void write(std::string_view bytes);
  // Synced, under its name, and the folder synced; or an error.
  void keep_as(const std::filesystem::path& name);

  bool failed_to_write() const { return !error_.empty(); }
  // The error as a problem: `disk_full` when that is what it was.
  failed why(const std::string& about) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  void note(const char* what, const std::filesystem::path& path);

  std::filesystem::path path_;
  int fd_ = -1;
  bool kept_ = false, full_ = false;
  std::string error_;
};

}  // namespace troupe::drivers::git
