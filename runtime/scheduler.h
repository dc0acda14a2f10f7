// Who runs actors, and when. The one seam to the actor library: caf_scheduler.cpp is the only file that knows
// CAF.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace troupe {

/// Something that runs in stretches, never two at once. Destroying it lets a running stretch finish; none
/// begins after.
class runner {
 public:
  virtual ~runner() = default;
  /// At least one stretch begins after this call. Any thread.
  virtual void poke() = 0;
  /// The same, not before `delay` has passed.
  virtual void poke_after(std::chrono::milliseconds delay) = 0;
};

/// Thread-safe. Outlives its runners.
class scheduler {
 public:
  virtual ~scheduler() = default;
  virtual std::unique_ptr<runner> spawn(std::function<void()> stretch) = 0;
  /// No stretch runs and none begins after this returns. Not from within a stretch.
  virtual void stop() = 0;
};

struct scheduler_options {
  /// SQLite calls are short but block their thread while the disk syncs: more threads than cores.
  unsigned threads = 16;
};

std::unique_ptr<scheduler> make_caf_scheduler(const scheduler_options& = {});

}  // namespace troupe
