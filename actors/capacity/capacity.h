// The actor `capacity`: grants the run slots of this instance, first come first served within each
// organization's share, and tells organizations when the disk runs full. One per instance, made by the
// program at its first start.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "actors/transition.h"
#include "runtime/kind.h"

namespace troupe::actors {

const kind& capacity();

/// States of a slot.
std::span<const transition> slot_transitions();

namespace capacity_limits {
inline constexpr std::int64_t default_max_running = 4;
inline constexpr std::int64_t max_waiting = 10'000;
/// A holder that does not renew for so long is asked whether it still runs.
inline constexpr std::chrono::minutes slot_lifetime{10};
/// And loses its slot when it does not answer for so long.
inline constexpr std::chrono::minutes answer_time{2};
/// Waiting tasks are told every change of their position up to this one, further back every so many.
inline constexpr std::int64_t exact_positions = 50;
inline constexpr int snapshot_slots = 200;
inline constexpr int snapshot_organizations = 500;

/// Below either the disk is low.
inline constexpr std::int64_t min_free_bytes = 2'000'000'000;
inline constexpr std::int64_t min_free_percent = 5;
/// Once low, it must have this much more than the bound to count as well again.
inline constexpr std::int64_t recovery_bytes = 500'000'000;
}  // namespace capacity_limits

/// Whether so much free space is too little for a new sandbox. `was_low` adds the margin of recovery.
bool disk_low(std::int64_t free_bytes, std::int64_t total_bytes, bool was_low);

}  // namespace troupe::actors
