#include "examples/scripted_agent/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace scripted {
namespace {

std::string failed(const char* what, const std::string& path, int error) {
  return std::string(what) + " " + path + ": " + std::strerror(error);
}

}  // namespace

text_file read_text(const std::string& path, std::size_t limit) {
  // Without O_NONBLOCK opening a named pipe would wait for ever.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {std::nullopt, failed("reading", path, errno)};
  struct stat about {};
  text_file file;
  if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
    file.error = "reading " + path + ": it is not a file";
  } else {
    std::string text(std::min(limit, static_cast<std::size_t>(about.st_size)), '\0');
    std::size_t have = 0;
    while (have < text.size()) {
      const auto got = ::read(fd, text.data() + have, text.size() - have);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    text.resize(have);
    file.text = std::move(text);
  }
  ::close(fd);
  return file;
}

std::string write_text(const std::string& path, const std::string& text) {
  std::error_code ec;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ec);
  if (ec) return failed("making the folder of", path, ec.value());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd < 0) return failed("writing", path, errno);
  std::string wrong;
  for (std::size_t done = 0; done < text.size();) {
    const auto put = ::write(fd, text.data() + done, text.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      wrong = failed("writing", path, errno);
      break;
    }
    done += static_cast<std::size_t>(put);
  }
  ::close(fd);
  return wrong;
}

listing list_folder(const std::string& path, std::size_t limit) {
  std::error_code ec;
  std::vector<std::string> names;
  for (std::filesystem::directory_iterator at(path, ec), end; !ec && at != end; at.increment(ec)) {
    auto name = at->path().filename().string();
    std::error_code ignored;
    if (name == ".git") continue;
    names.push_back(at->is_directory(ignored) ? name + "/" : name);
  }
  listing result;
  if (ec) {
    result.error = failed("listing", path, ec.value());
    return result;
  }
  std::sort(names.begin(), names.end());
  result.count = names.size();
  for (std::size_t i = 0; i < std::min(limit, names.size()); ++i) result.text += names[i] + "\n";
  if (names.size() > limit) result.text += "… and " + std::to_string(names.size() - limit) + " more\n";
  return result;
}

}  // namespace scripted
