// The URL of a repository, checked: what the server may follow, and what may be shown and put in a sandbox.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/daemon/failed.h"

namespace troupe::drivers::git {

struct repository_url {
  enum class kind { path, http, https, ssh };
  kind scheme = kind::https;
  std::string text;  // for libgit2; a path is absolute and without symbolic links
  std::string user;  // of the URL, empty if none
  std::string host;  // empty for a path
};

inline constexpr std::size_t max_url_bytes = 2048;

// https, http, ssh (also git@host:path), and paths or file: URLs that lie below one of `roots` once symbolic
// links are resolved. Everything else is refused: other transports (ext:: would run a program), options in
// disguise (a leading
// `-`), passwords in the URL (they belong into a secret).
attempt<repository_url> parse_url(std::string_view text, const std::vector<std::filesystem::path>& roots);

}  // namespace troupe::drivers::git
