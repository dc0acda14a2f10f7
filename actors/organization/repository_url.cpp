#include "actors/organization/repository_url.h"

#include <algorithm>
#include <cctype>

namespace troupe::actors {
namespace {

constexpr std::string_view wanted = "https://…, ssh://…, user@host:path, file:///… or an absolute path";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// The part between :// and the next slash.
std::string_view authority(std::string_view url) {
  const auto begin = url.find("://") + 3;
  return url.substr(begin, std::min(url.find('/', begin), url.size()) - begin);
}

}  // namespace

std::optional<std::string> url_fault(std::string_view url) {
  if (url.empty()) return "it is empty";
  if (url.front() == '-') return "it begins with a dash, which git reads as an option";
  for (const char c : url) {
    if (static_cast<unsigned char>(c) < 0x21 || c == 0x7F)
      return "it contains a blank or a control character";
  }
  if (url.front() == '/') return std::nullopt;
  const auto scheme_end = url.find("://");
  if (scheme_end == url.npos) {
    if (url.find("::") != url.npos) return "remote helpers (name::address) are refused: they run programs";
    const auto at = url.find('@');
    const auto colon = url.find(':');
    const bool scp = at != url.npos && at > 0 && colon != url.npos && colon > at + 1 &&
                     colon + 1 < url.size() && url[at + 1] != '-';
    if (scp) return std::nullopt;
    return "it is none of " + std::string(wanted);
  }
  const auto scheme = lower(url.substr(0, scheme_end));
  if (scheme == "file") {
    return url.substr(scheme_end + 3).starts_with('/')
               ? std::nullopt
               : std::optional<std::string>("a file URL needs three slashes: file:///path");
  }
  if (scheme != "https" && scheme != "ssh")
    return "the scheme " + scheme + " is not taken; use " + std::string(wanted);
  const auto host = authority(url);
  const auto user = host.find('@');
  if (user != host.npos && (scheme == "https" || host.substr(0, user).find(':') != host.npos)) {
    return "it carries a credential; store it as a secret and name it in `credential`";
  }
  const auto name = user == host.npos ? host : host.substr(user + 1);
  if (name.empty() || name.front() == '-') return "it names no host";
  return std::nullopt;
}

std::string repository_name_from(std::string_view url) {
  while (!url.empty() && url.back() == '/') url.remove_suffix(1);
  if (url.ends_with(".git")) url.remove_suffix(4);
  while (!url.empty() && url.back() == '/') url.remove_suffix(1);
  const auto slash = url.find_last_of("/:");
  if (slash != url.npos) url = url.substr(slash + 1);
  std::string name;
  for (const char c : url.substr(0, 64)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) && static_cast<unsigned char>(c) < 0x80;
    if (plain || (!name.empty() && (c == '-' || c == '_' || c == '.'))) name += c;
  }
  return name.empty() ? "repository" : name;
}

}  // namespace troupe::actors
