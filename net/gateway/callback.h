// From callbacks on scheduler threads to coroutines. Private to this folder.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "net/wire/asio.h"
#include "net/wire/signal.h"

namespace troupe::gateway {

// Calls start(done), where done(T) is called once from any thread, and gives that T on the awaiting strand;
// nothing when `until` passes first (a late call is dropped). `start` is a named function object: see asio.h
// on temporaries.
template <class T, class Start>
wire::asio::awaitable<std::optional<T>> called_back(Start& start,
                                                    wire::time_point until = wire::time_point::max()) {
  struct slot {
    explicit slot(wire::executor strand) : done(std::move(strand)) {}
    wire::signal done;
    std::optional<T> value;  // written before done is raised, read after
  };
  auto held = std::make_shared<slot>(co_await wire::asio::this_coro::executor);
  start([held](T value) {
    held->value.emplace(std::move(value));
    held->done.raise();
  });
  if (!co_await held->done.wait(until)) co_return std::nullopt;
  co_return std::move(held->value);
}

}  // namespace troupe::gateway
