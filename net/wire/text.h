// Small pure functions on text that several files here share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::wire {

std::string_view trim(std::string_view text);  // spaces and tabs
std::string lower(std::string_view text);      // ASCII
// The items of a comma-separated field value, trimmed, empty ones left out.
std::vector<std::string_view> split_list(std::string_view value);
// All of `text` as a decimal number.
std::optional<std::int64_t> parse_integer(std::string_view text);
// At most `max` bytes, never half a UTF-8 character.
std::string_view cut_utf8(std::string_view text, std::size_t max);

}  // namespace troupe::wire
