// Everything in the host that waits for a time: one heap, one armed delay of at most a second.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <vector>

#include "runtime/clock.h"
#include "runtime/scheduler.h"

namespace troupe {

/// Thread-safe. Callbacks run on a scheduler thread and return at once.
class alarms {
 public:
  /// `each_second` runs about once a second, whatever else is due: the wall clock may have jumped.
  alarms(scheduler&, const clock&, std::function<void()> each_second);
  void start();
  void stop();

  void at(std::chrono::steady_clock::time_point due, std::function<void()> f);
  void after(std::chrono::milliseconds delay, std::function<void()> f) { at(clock_.steady() + delay, std::move(f)); }

 private:
  using time = std::chrono::steady_clock::time_point;
  struct entry {
    time due;
    std::uint64_t order;
    std::shared_ptr<std::function<void()>> f;
    bool operator<(const entry& o) const { return due != o.due ? due > o.due : order > o.order; }
  };

  void stretch();

  const clock& clock_;
  const std::function<void()> each_second_;
  std::unique_ptr<runner> runner_;
  std::mutex mutex_;
  std::priority_queue<entry> heap_;
  std::uint64_t order_ = 0;
  time next_tick_{};
  /// When the newest armed delay ends.
  time armed_ = time::max();
  bool stopped_ = false;
};

}  // namespace troupe
