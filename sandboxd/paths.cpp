#include "sandboxd/paths.h"

#include <cerrno>
#include <vector>

namespace troupe::sandboxd {
namespace {

std::vector<std::string_view> components(std::string_view path) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at < path.size();) {
    auto end = std::min(path.find('/', at), path.size());
    auto part = path.substr(at, end - at);
    if (!part.empty() && part != ".") out.push_back(part);
    at = end + 1;
  }
  return out;
}

bool climbs(std::string_view path) {
  for (auto part : components(path))
    if (part == "..") return true;
  return false;
}

std::string join(const std::vector<std::string_view>& parts, std::size_t from) {
  std::string out;
  for (std::size_t i = from; i < parts.size(); ++i) {
    if (!out.empty()) out += '/';
    out += parts[i];
  }
  return out;
}

}  // namespace

outcome<std::string> absolute_path(std::string_view given, std::string_view home) {
  if (given.find('\0') != std::string_view::npos) return os_error{EINVAL, "a path holds a NUL byte"};
  std::string out;
  if (given.empty() || given == "~") {
    out = home;
  } else if (given.front() == '/') {
    out = given;
  } else {
    auto rest = given.substr(0, 2) == "~/" ? given.substr(2) : given;
    if (rest.data() == given.data() && given.front() == '~')
      return os_error{EINVAL, "invalid relative path: " + std::string(given)};
    if (climbs(rest)) return os_error{EINVAL, "invalid relative path: " + std::string(given)};
    out = home;
    if (!out.empty() && out.back() != '/') out += '/';
    out += rest;
  }
  if (out.size() > max_path_bytes)
    return os_error{ENAMETOOLONG, "a path of " + std::to_string(out.size()) + " bytes is longer than " +
                                      std::to_string(max_path_bytes)};
  return out;
}

outcome<std::string> below_root(std::string_view absolute, std::string_view root) {
  auto parts = components(absolute);
  auto top = components(root);
  bool inside = parts.size() >= top.size();
  for (std::size_t i = 0; inside && i < top.size(); ++i) inside = parts[i] == top[i];
  if (!inside) return os_error{EXDEV, std::string(absolute) + " is outside of " + std::string(root)};
  auto rest = join(parts, top.size());
  return rest.empty() ? std::string(".") : rest;
}

outcome<std::string> member_path(std::string_view given) {
  if (given.find('\0') != std::string_view::npos) return os_error{EINVAL, "a member's name holds a NUL byte"};
  if ((!given.empty() && given.front() == '/') || climbs(given))
    return os_error{EINVAL, "a member's name leaves the folder: " + std::string(given)};
  return join(components(given), 0);
}

}  // namespace troupe::sandboxd
