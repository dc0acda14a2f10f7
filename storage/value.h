// The five kinds of value that a column holds: owned (`value`) and borrowed (`value_view`).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe::storage {

using blob = std::vector<std::byte>;
using blob_view = std::span<const std::byte>;

using value = std::variant<std::nullptr_t, std::int64_t, double, std::string, blob>;
using value_view = std::variant<std::nullptr_t, std::int64_t, double, std::string_view, blob_view>;

inline blob_view as_blob(std::string_view bytes) {
  return std::as_bytes(std::span(bytes.data(), bytes.size()));
}
inline std::string_view as_text(blob_view bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

value to_value(const value_view&);

}  // namespace troupe::storage
