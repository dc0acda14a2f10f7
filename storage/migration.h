// One step of a file's tables. Light, so that what embeds many of them compiles fast.
#pragma once

#include <string_view>

namespace troupe::storage {

// Versions 1, 2, 3, … without a gap, compiled in. A step may hold several statements; it may not begin or
// commit.
struct migration {
  int version;
  std::string_view sql;
};

}  // namespace troupe::storage
