// What a path of a request means, before any file is touched. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

constexpr std::size_t max_path_bytes = 4095;

// The absolute path that a request's path means: absolute paths stay as they are (`..` included), `~` and
// `~/…` and relative ones are under `home`, empty is `home`. EINVAL for a NUL, a relative path with a `..`
// component and `~name`, ENAMETOOLONG beyond the limit.
outcome<std::string> absolute_path(std::string_view given, std::string_view home);

// The part of an absolute path below `root`, without leading slashes ("." for the root itself). Purely
// textual with
// `.` and repeated slashes skipped; `..` components are left for the kernel to judge. EXDEV when it is not
// below.
outcome<std::string> below_root(std::string_view absolute, std::string_view root);

// A tar member's or a batch's relative name without `.` components; EINVAL for an absolute one, a `..` or a
// NUL. Empty for "./" itself.
outcome<std::string> member_path(std::string_view given);

}  // namespace troupe::sandboxd
