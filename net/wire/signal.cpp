#include "net/wire/signal.h"

#include <atomic>

#include <boost/asio/redirect_error.hpp>

namespace troupe::wire {

struct signal::state {
  explicit state(executor ex) : strand(std::move(ex)), timer(strand) {}

  executor strand;
  asio::steady_timer timer;
  std::atomic<bool> posted{false};  // a raise is on its way to the strand: further ones add nothing
  bool raised = false;
  bool waiting = false;
};

signal::signal(executor strand) : state_(std::make_shared<state>(std::move(strand))) {}

void signal::raise() const {
  if (state_->posted.exchange(true)) return;
  asio::post(state_->strand, [s = state_] {
    s->posted = false;
    s->raised = true;
    if (s->waiting) s->timer.cancel();
  });
}

asio::awaitable<bool> signal::wait(time_point until) const {
  auto s = state_;
  while (!s->raised && clock::now() < until) {
    s->timer.expires_at(until);
    s->waiting = true;
    boost::system::error_code ignored;
    co_await s->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    s->waiting = false;
  }
  co_return std::exchange(s->raised, false);
}

asio::awaitable<void> sleep_for(clock::duration howlong) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(howlong);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace troupe::wire
