// Small pure functions on text that several kinds need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::actors {

/// At most `bytes` of it, cut between characters (UTF-8), with "…" where something was cut.
std::string clip(std::string_view text, std::size_t bytes);
/// The last `bytes` of it, with "…" in front where something was cut: for logs, whose end says why.
std::string tail(std::string_view text, std::size_t bytes);
/// Not negative, the same for the same text on every machine.
std::int64_t stable_hash(std::string_view text);

}  // namespace troupe::actors
