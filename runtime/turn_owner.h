// What a turn needs of the actor that it belongs to: one that runs (cell.h), or one in memory for a test.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/catalog.h"
#include "runtime/clock.h"

namespace troupe {

class turn_state;

class turn_owner {
 public:
  virtual ~turn_owner() = default;

  virtual const key& self() const = 0;
  virtual const known_kind& known() const = 0;
  virtual const std::string& incarnation() const = 0;
  virtual id_source& ids() const = 0;
  virtual lane lane_at(const key& target, std::string_view command) const = 0;
  /// The last numbers given out, to be counted up in place.
  virtual std::uint64_t& last_number(const key& target, lane) = 0;
  virtual std::uint64_t& last_entry(std::string_view stream) = 0;
  virtual std::uint64_t& effect_count() = 0;
  virtual std::chrono::milliseconds default_deadline(std::string_view effect,
                                                     std::chrono::milliseconds otherwise) const = 0;
  /// Throws backpressure.
  virtual void check_outbox(const turn_state&) const = 0;
};

}  // namespace troupe
