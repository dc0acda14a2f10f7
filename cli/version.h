// The version of this build, from the project's CMakeLists.txt.
#pragma once

namespace troupe::cli {

extern const char* const version;

}  // namespace troupe::cli
