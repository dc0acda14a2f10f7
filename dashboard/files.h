// The files of the dashboard, compiled into the program.
#pragma once

#include <span>
#include <string_view>

namespace troupe::dashboard {

struct file {
  std::string_view name;  // "plain/app.js", the path in an address
  std::string_view type;  // its media type
  std::string_view etag;  // with its quotes; changes when the bytes do
  std::string_view bytes;
};

std::span<const file> files();

}  // namespace troupe::dashboard
