#include "sandboxd/isolation/remove_tree.h"

#include <sys/stat.h>

#include <vector>

namespace troupe::sandboxd {
namespace {

namespace fs = std::filesystem;

void open_up(const fs::path& root) {
  std::vector<fs::path> open = {root};
  while (!open.empty()) {
    const auto at = std::move(open.back());
    open.pop_back();
    std::error_code ec;
    if (fs::symlink_status(at, ec).type() != fs::file_type::directory) continue;
    ::chmod(at.c_str(), 0700);
    for (fs::directory_iterator it(at, ec), end; !ec && it != end; it.increment(ec)) {
      std::error_code each;
      if (it->symlink_status(each).type() == fs::file_type::directory) open.push_back(it->path());
    }
  }
}

}  // namespace

outcome<done> remove_tree(const fs::path& root) {
  std::error_code ec;
  fs::remove_all(root, ec);
  if (ec == std::errc::permission_denied || ec == std::errc::operation_not_permitted) {
    open_up(root);
    ec.clear();
    fs::remove_all(root, ec);
  }
  if (ec) return os_error{ec.value(), "remove " + root.string()};
  return done{};
}

}  // namespace troupe::sandboxd
