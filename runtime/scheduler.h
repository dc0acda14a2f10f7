// Who runs actors, and when. The one seam to the actor library: caf_scheduler.cpp is the only file that knows CAF.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace troupe {

/// Something that runs in stretches, never two at once. Destroying it lets a running stretch finish elsewhere.
class runner {
 public:
  virtual ~runner() = default;
  /// At least one stretch begins after this call. Any thread.
  virtual void poke() = 0;
};

/// Thread-safe. Outlives its runners.
class scheduler {
 public:
  virtual ~scheduler() = default;
  virtual std::unique_ptr<runner> spawn(std::function<void()> stretch) = 0;
  /// Calls f once after `delay`, on any thread.
  virtual void after(std::chrono::milliseconds delay, std::function<void()> f) = 0;
  /// Runs f soon on a thread that may block (opening files, building views for many).
  virtual void post(std::function<void()> f) = 0;
  /// No stretch runs and none begins after this returns.
  virtual void stop() = 0;
};

struct scheduler_options {
  /// SQLite calls are short but block their thread while the disk syncs: more threads than cores.
  unsigned threads = 16;
};

std::unique_ptr<scheduler> make_caf_scheduler(const scheduler_options& = {});

}  // namespace troupe
