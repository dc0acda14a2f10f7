#include "runtime/alarms.h"

#include <algorithm>

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
  std::lock_guard lock(mutex_);
  stopped_ = true;
  heap_ = {};
}

void alarms::at(time due, std::function<void()> f) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  heap_.push({due, ++order_, std::make_shared<std::function<void()>>(std::move(f))});
  if (due >= armed_) return;
  armed_ = due;
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(due - clock_.steady());
  runner_->poke_after(std::max(delay, std::chrono::milliseconds(0)));
}

void alarms::stretch() {
  const auto now = clock_.steady();
  std::vector<std::shared_ptr<std::function<void()>>> due;
  {
    std::lock_guard lock(mutex_);
    // A leftover of a delay that an earlier one replaced ends here; one that armed again would never die out.
    if (stopped_ || now + slack < armed_) return;
    while (!heap_.empty() && heap_.top().due <= now) {
      due.push_back(heap_.top().f);
      heap_.pop();
    }
  }
  for (const auto& f : due) (*f)();
  if (now >= next_tick_) {
    next_tick_ = now + tick;
    each_second_();
  }
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  armed_ = heap_.empty() ? next_tick_ : std::min(heap_.top().due, next_tick_);
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(armed_ - clock_.steady());
  runner_->poke_after(std::max(delay, std::chrono::milliseconds(0)));
}

}  // namespace troupe
