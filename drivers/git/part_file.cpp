#include "drivers/git/part_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace troupe::drivers::git {

part_file::part_file(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd_ < 0) note("making", path_);
}

part_file::~part_file() {
  if (fd_ >= 0) ::close(fd_);
  if (!kept_) ::unlink(path_.c_str());
}

void part_file::note(const char* what, const std::filesystem::path& path) {
  full_ = errno == ENOSPC || errno == EDQUOT;
  error_ = std::string(what) + " " + path.string() + ": " + std::strerror(errno);
}

void part_file::write(std::string_view bytes) {
  while (error_.empty() && !bytes.empty()) {
    const auto put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0)
      note("writing", path_);
    else
      bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

void part_file::keep_as(const std::filesystem::path& name) {
  if (error_.empty() && ::fsync(fd_) != 0) note("syncing", path_);
  if (error_.empty() && ::rename(path_.c_str(), name.c_str()) != 0) note("renaming", path_);
  if (!error_.empty()) return;
  kept_ = true;
  const int folder = ::open(name.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 || ::fsync(folder) != 0) note("syncing the folder of", name);
  if (folder >= 0) ::close(folder);
}

failed part_file::why(const std::string& about) const {
  if (full_)
    return disk_full(about + ": " + error_ +
                     ". The server's disk is full: make room there and try again; nothing was lost");
  return quota(about + ": " + error_);
}

}  // namespace troupe::drivers::git
