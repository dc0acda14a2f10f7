#include "drivers/git/url.h"

#include <algorithm>

#include "net/wire/message.h"

namespace troupe::drivers::git {
namespace {

namespace fs = std::filesystem;

failed refused(std::string_view url, const std::string& why) {
  return invalid("the repository URL `" + std::string(url.substr(0, 200)) + "` cannot be used: " + why);
}

bool below(const fs::path& root, const fs::path& path) {
  const auto end = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return end.first == root.end();
}

attempt<repository_url> path_url(std::string_view text, const std::string& path,
                                 const std::vector<fs::path>& roots) {
  if (roots.empty()) {
    return refused(text,
                   "paths on the server are off; start it with --repo-root DIR to allow those below DIR");
  }
  std::error_code ec;
  // Resolved before it is compared, so that neither `..` nor a symbolic link leads out of a root.
  const auto real = fs::canonical(path, ec);
  if (ec) {
    return git_refused(
        "remote_not_found",
        refused(text, "there is nothing at that path on the server (" + ec.message() + ")").why.detail);
  }
  for (const auto& root : roots) {
    const auto real_root = fs::canonical(root, ec);
    if (!ec && below(real_root, real)) {
      return repository_url{repository_url::kind::path, real.string(), "", ""};
    }
  }
  return refused(text, "it does not lie below a folder given with --repo-root");
}

// user@host:port of an authority. Empty: fine.
std::string read_authority(std::string_view authority, repository_url& url) {
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    url.user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    if (url.user.find(':') != std::string::npos) {
      return "it holds a password, which would be shown to everyone; store that as a secret and name it as "
             "the "
             "repository's credential";
    }
    if (url.user.starts_with('-')) return "its user begins with `-`";
  }
  url.host = authority.substr(0, authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':'));
  if (url.host.empty()) return "it names no host";
  if (url.host.starts_with('-')) return "its host begins with `-`";
  return "";
}

}  // namespace

attempt<repository_url> parse_url(std::string_view text, const std::vector<fs::path>& roots) {
  if (text.empty()) return refused(text, "it is empty");
  if (text.size() > max_url_bytes) return refused(text, "it is longer than 2048 bytes");
  if (text.starts_with('-')) return refused(text, "it begins with `-`");
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    return refused(text, "it has spaces or control characters in it");
  }
  if (text.starts_with('/')) return path_url(text, std::string(text), roots);
  const auto scheme_end = text.find("://");
  const auto colon = text.find(':');
  if (colon != std::string_view::npos && text.substr(colon).starts_with("::")) {
    return refused(text, "transports written with `::` are not allowed; use https, ssh or a path");
  }
  if (scheme_end == std::string_view::npos) {
    // git@host:path. A path without a slash in front would be taken from the server's working folder.
    const auto slash = text.find('/');
    if (colon == std::string_view::npos || (slash != std::string_view::npos && slash < colon) ||
        colon + 1 == text.size()) {
      return refused(text, "it is neither a URL nor an absolute path");
    }
    repository_url url{repository_url::kind::ssh, std::string(text), "", ""};
    if (auto wrong = read_authority(text.substr(0, colon), url); !wrong.empty()) return refused(text, wrong);
    return url;
  }
  const auto scheme = text.substr(0, scheme_end);
  const auto rest = text.substr(scheme_end + 3);
  if (scheme == "file") {
    const auto path = wire::percent_decode(rest);
    if (!path || !path->starts_with('/'))
      return refused(text, "a file: URL needs an absolute path and no host");
    return path_url(text, *path, roots);
  }
  repository_url url;
  url.text = text;
  if (scheme == "https")
    url.scheme = repository_url::kind::https;
  else if (scheme == "http")
    url.scheme = repository_url::kind::http;
  else if (scheme == "ssh")
    url.scheme = repository_url::kind::ssh;
  else
    return refused(text, "its scheme is none of https, http, ssh and file");
  if (auto wrong = read_authority(rest.substr(0, rest.find('/')), url); !wrong.empty())
    return refused(text, wrong);
  return url;
}

}  // namespace troupe::drivers::git
