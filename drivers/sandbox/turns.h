// Calls that must not overlap for one name, in the order they came.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "net/wire/asio.h"

namespace troupe::drivers {

// Thread-safe; outlives what it hands out.
class turns {
 public:
  // While it lives nobody else has the name's turn.
  using held = std::shared_ptr<void>;

  wire::asio::awaitable<held> take(std::string name) {
    auto ex = co_await wire::asio::this_coro::executor;
    // Looking again is cheap beside what the turns are for (processes start and end), and needs no queue of
    // waiters.
    wire::asio::steady_timer again(ex);
    for (;;) {
      if (auto mine = try_take(name)) co_return mine;
      again.expires_after(std::chrono::milliseconds(2));
      co_await again.async_wait(wire::asio::use_awaitable);
    }
  }

 private:
  held try_take(const std::string& name) {
    std::lock_guard lock(mutex_);
    auto& last = taken_[name];
    if (!last.expired()) return nullptr;
    // The address of a string is as good a token as any; its end takes the name away again.
    held mine(new std::string(name), [this](void* p) {
      std::unique_ptr<std::string> owned(static_cast<std::string*>(p));
      std::lock_guard guard(mutex_);
      taken_.erase(*owned);
    });
    last = mine;
    return mine;
  }

  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<void>> taken_;
};

}  // namespace troupe::drivers
