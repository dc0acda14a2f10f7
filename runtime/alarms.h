// Everything in the host that waits for a time: one queue, one armed delay of at most a second.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

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

  using time = std::chrono::steady_clock::time_point;
  /// Which alarm, for who may not need it any more: when it is due and how many came before it.
  using ticket = std::pair<time, std::uint64_t>;

  ticket at(time due, std::function<void()> f);
  ticket after(std::chrono::milliseconds delay, std::function<void()> f) {
    return at(clock_.steady() + delay, std::move(f));
  }
  /// Frees what it holds; does nothing when it has rung. It may be ringing now.
  void cancel(const ticket&);
  std::size_t waiting() const;

 private:
  void stretch();

  const clock& clock_;
  const std::function<void()> each_second_;
  std::unique_ptr<runner> runner_;
  mutable std::mutex mutex_;
  /// In the order in which they are due.
  std::map<ticket, std::function<void()>> waiting_;
  std::uint64_t order_ = 0;
  time next_tick_{};
  /// When the newest armed delay ends.
  time armed_ = time::max();
  bool stopped_ = false;
};

}  // namespace troupe
