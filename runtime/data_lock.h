// One program at a time works on a data folder.
#pragma once

#include <filesystem>

namespace troupe {

/// Holds DATA/lock as long as it lives; the folder is made when it is not there. Throws data_folder_in_use,
/// or std::system_error.
class data_lock {
 public:
  explicit data_lock(const std::filesystem::path& data);
  ~data_lock();
  data_lock(const data_lock&) = delete;
  data_lock& operator=(const data_lock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace troupe
