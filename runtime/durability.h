// What "durable" means: the output gate asks this before anything leaves an actor.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/key.h"

namespace troupe {

/// Thread-safe. Alone, the local commit is the answer; a cluster answers once its replicated stream has the
/// turn.
class durability_gate {
 public:
  virtual ~durability_gate() = default;
  /// Called once per turn after its local commit, in turn order per actor. `done(true)` opens the gate for it
  /// and all before it; `done(false)` says that it is not durable now: the actor reopens its file and asks
  /// again. May complete on any thread, at once or later.
  virtual void durable(const key& actor, std::uint64_t turn, std::function<void(bool)> done) = 0;
};

/// Completes at once: the commit was synced by SQLite.
durability_gate& local_durability();

}  // namespace troupe
