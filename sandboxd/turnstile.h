// One at a time: work that reads, thinks and writes over several awaits, in the order in which it came.
#pragma once

#include <deque>
#include <utility>

#include "net/wire/signal.h"

namespace troupe::sandboxd {

// Used on one thread; outlives its passes.
class turnstile {
 public:
  explicit turnstile(wire::executor ex) : ex_(std::move(ex)) {}

  // Held for as long as the work lasts.
  class pass {
   public:
    explicit pass(turnstile& of) : of_(&of) {}
    pass(pass&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    pass& operator=(pass&&) = delete;
    ~pass() {
      if (of_) of_->leave();
    }

   private:
    turnstile* of_;
  };

  wire::asio::awaitable<pass> enter() {
    if (std::exchange(taken_, true)) {
      waiting_.emplace_back(ex_);
      auto mine = waiting_.back();
      co_await mine.wait();
    }
    co_return pass(*this);
  }

 private:
  // The next one finds it taken already, so that nobody comes between.
  void leave() {
    if (waiting_.empty()) {
      taken_ = false;
      return;
    }
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    next.raise();
  }

  wire::executor ex_;
  bool taken_ = false;
  std::deque<wire::signal> waiting_;
};

}  // namespace troupe::sandboxd
