#include "runtime/alarms.h"

#include <algorithm>
#include <vector>

namespace troupe {
namespace {

constexpr std::chrono::milliseconds tick{1000};
/// A delay may end this much early; it is not another one's leftover for that.
constexpr std::chrono::milliseconds slack{2};

}  // namespace

alarms::alarms(scheduler& s, const clock& c, std::function<void()> each_second)
    : clock_(c), each_second_(std::move(each_second)), runner_(s.spawn([this] { stretch(); })) {}

void alarms::start() {
  {
    std::lock_guard lock(mutex_);
    armed_ = clock_.steady();
    next_tick_ = armed_ + tick;
  }
  runner_->poke();
}

void alarms::stop() {
  std::map<ticket, std::function<void()>> freed;
  std::lock_guard lock(mutex_);
  stopped_ = true;
  freed.swap(waiting_);
}

alarms::ticket alarms::at(time due, std::function<void()> f) {
  std::lock_guard lock(mutex_);
  const ticket mine{due, ++order_};
  if (stopped_) return mine;
  waiting_.emplace(mine, std::move(f));
  if (due >= armed_) return mine;
  armed_ = due;
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(due - clock_.steady());
  runner_->poke_after(std::max(delay, std::chrono::milliseconds(0)));
  return mine;
}

void alarms::cancel(const ticket& t) {
  std::function<void()> freed;  // after the lock: what it holds may end things
  std::lock_guard lock(mutex_);
  const auto it = waiting_.find(t);
  if (it == waiting_.end()) return;
  freed = std::move(it->second);
  waiting_.erase(it);
}

std::size_t alarms::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_.size();
}

void alarms::stretch() {
  const auto now = clock_.steady();
  std::vector<std::function<void()>> due;
  {
    std::lock_guard lock(mutex_);
    // A leftover of a delay that an earlier one replaced ends here; one that armed again would never die out.
    if (stopped_ || now + slack < armed_) return;
    while (!waiting_.empty() && waiting_.begin()->first.first <= now) {
      due.push_back(std::move(waiting_.begin()->second));
      waiting_.erase(waiting_.begin());
    }
  }
  for (const auto& f : due) f();
  if (now >= next_tick_) {
    next_tick_ = now + tick;
    each_second_();
  }
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  armed_ = waiting_.empty() ? next_tick_ : std::min(waiting_.begin()->first.first, next_tick_);
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(armed_ - clock_.steady());
  runner_->poke_after(std::max(delay, std::chrono::milliseconds(0)));
}

}  // namespace troupe
