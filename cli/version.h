// The version of this build, from the project's CMakeLists.txt.
#pragma once

namespace troupe::cli {

inline constexpr const char* version = TROUPE_VERSION;

}  // namespace troupe::cli
