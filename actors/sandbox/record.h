// The row of a sandbox as a value, and what every change of it must do.
#pragma once

#include <string>

#include "runtime/turn.h"

namespace troupe::actors::sandboxes {

inline constexpr std::size_t max_error = 2000;     // bytes of an error kept
inline constexpr std::size_t max_exited = 100;     // processes that have ended and are still shown
inline constexpr std::size_t max_log_text = 4096;  // bytes of one log entry's text
inline constexpr int max_failed_destroys = 24;     // then a person has to look
inline constexpr std::chrono::minutes destroy_pause{1};

struct record {
  std::string state, doing, effect, holder;
  json spec;
  std::string nonce;
  std::int64_t uid = 0, creation = 0, generation = 0;
  std::string handle, tier, workspace;
  json items, steps;
  std::string feed;
  std::int64_t watch = 0;
  std::string error;
  std::int64_t memory_mb = 0, pids = 0;
  bool leaving = false;
  int failed_destroys = 0;
  std::int64_t created_at = 0, updated_at = 0;
};

record load(const view&);
bool made(const view&);
void insert(turn&, const record&);
/// Writes the row; when `report`, tells the organization and the holder.
void save(turn&, record&, bool report);

/// Asks for an act on the world. Its outcome comes to sandbox.apply_outcome with the act's name.
void begin(turn&, record&, std::string_view act);
/// Follows the daemon's events of this generation.
void watch(turn&, record&);
void unwatch(turn&, record&);
/// The processes of the world that is gone are gone.
void end_processes(turn&, const record&, std::string_view why);

}  // namespace troupe::actors::sandboxes
