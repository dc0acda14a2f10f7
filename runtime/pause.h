#pragma once

#include <algorithm>
#include <chrono>

namespace troupe {

// How long to wait before the same is tried again: doubled with each failure, so that what is broken for long
// costs little, and bounded, so that what is repaired is noticed.
constexpr std::chrono::milliseconds first_pause{100};
constexpr std::chrono::milliseconds longest_pause{30'000};

/// The pause after `last`, which is zero before the first.
inline std::chrono::milliseconds longer(std::chrono::milliseconds last) {
  return std::clamp(last * 2, first_pause, longest_pause);
}

}  // namespace troupe
