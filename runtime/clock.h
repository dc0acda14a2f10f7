// Time and identity from outside, so that tests own them.
#pragma once

#include <chrono>
#include <string>

#include "runtime/view.h"

namespace troupe {

/// Thread-safe.
class clock {
 public:
  virtual ~clock() = default;
  virtual timestamp now() const = 0;
  /// Never goes back; for deadlines and durations.
  virtual std::chrono::steady_clock::time_point steady() const = 0;
};

/// Thread-safe.
class id_source {
 public:
  virtual ~id_source() = default;
  /// 26 characters of Crockford's base 32: 48 bits of time, 80 random bits (the ULID layout).
  virtual std::string next(timestamp now) = 0;
  /// 128 random bits in hex.
  virtual std::string incarnation() = 0;
};

clock& system_clock();
id_source& random_ids();

}  // namespace troupe
