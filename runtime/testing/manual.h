// Virtual time and a scheduler that a test drives: one seed, one exact run.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "runtime/clock.h"
#include "runtime/scheduler.h"

namespace troupe::testing {

class manual_clock final : public clock {
 public:
  timestamp now() const override { return from_ms(1'700'000'000'000) + since_ + jumped_; }
  std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::time_point(std::chrono::hours(1)) + since_;
  }
  void advance(std::chrono::milliseconds d) { since_ += d; }
  /// Only the wall clock: a laptop that slept, or a clock that was set.
  void jump(std::chrono::milliseconds d) { jumped_ += d; }
  std::chrono::milliseconds since() const { return since_; }

 private:
  std::chrono::milliseconds since_{0}, jumped_{0};
};

/// Ids that count: the same in every run. One run that follows another on the same files begins where that
/// one cannot have come.
class counting_ids final : public id_source {
 public:
  explicit counting_ids(std::uint64_t after = 0) : count_(after) {}
  std::string next(timestamp) override { return numbered("ID", 26); }
  std::string incarnation() override { return numbered("f", 32); }

 private:
  std::string numbered(std::string prefix, std::size_t width) {
    auto n = std::to_string(++count_);
    return prefix + std::string(width - prefix.size() - n.size(), '0') + n;
  }
  std::uint64_t count_;
};

/// Runs stretches only inside run() and advance(), on the caller's thread, in an order that the seed decides
/// (seed 0: first come, first served).
class manual_scheduler final : public scheduler {
 public:
  explicit manual_scheduler(manual_clock& c, unsigned seed = 0) : clock_(c), seed_(seed), random_(seed) {}

  std::unique_ptr<runner> spawn(std::function<void()> stretch) override {
    auto s = std::make_shared<state>(state{std::move(stretch), false, true});
    return std::make_unique<handle>(*this, std::move(s));
  }
  void stop() override { stopped_ = true; }

  /// Until nothing is ready at this instant. Answers how many stretches ran.
  std::size_t run() {
    std::size_t n = 0;
    while (step()) ++n;
    return n;
  }
  bool step() {
    release_due();
    while (!ready_.empty() && !stopped_) {
      const auto pick = seed_ ? random_() % ready_.size() : 0;
      const auto s = ready_[pick];
      ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(pick));
      s->queued = false;
      if (!s->alive) continue;
      s->stretch();
      return true;
    }
    return false;
  }
  /// Time passes, every delay on the way fires at its instant.
  void advance(std::chrono::milliseconds d) {
    const auto until = clock_.since() + d;
    run();
    while (!delayed_.empty() && delayed_.begin()->first <= until && !stopped_) {
      const auto next = delayed_.begin()->first;
      if (next > clock_.since()) clock_.advance(next - clock_.since());
      run();
    }
    clock_.advance(until - clock_.since());
    run();
  }

 private:
  struct state {
    std::function<void()> stretch;
    bool queued;
    bool alive;
  };
  class handle final : public runner {
   public:
    handle(manual_scheduler& s, std::shared_ptr<state> is) : owner_(s), is_(std::move(is)) {}
    ~handle() override { is_->alive = false; }
    void poke() override { owner_.ready(is_); }
    void poke_after(std::chrono::milliseconds d) override {
      owner_.delayed_.emplace(owner_.clock_.since() + d, is_);
    }

   private:
    manual_scheduler& owner_;
    std::shared_ptr<state> is_;
  };
  void ready(const std::shared_ptr<state>& s) {
    if (s->queued) return;
    s->queued = true;
    ready_.push_back(s);
  }
  void release_due() {
    while (!delayed_.empty() && delayed_.begin()->first <= clock_.since()) {
      ready(delayed_.begin()->second);
      delayed_.erase(delayed_.begin());
    }
  }

  manual_clock& clock_;
  const unsigned seed_;
  std::mt19937 random_;
  std::vector<std::shared_ptr<state>> ready_;
  std::multimap<std::chrono::milliseconds, std::shared_ptr<state>> delayed_;
  bool stopped_ = false;
};

}  // namespace troupe::testing
