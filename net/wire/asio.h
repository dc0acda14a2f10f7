// The few Asio names that this project spells, so that no other header spells Boost.
//
// Coroutines run on the executor that they were spawned on. Debian's Asio (1.74) has no cancellation slots:
// what must be cancellable offers close() or a deadline.
//
// GCC 12 miscompiles some temporaries of a co_await expression (destroyed twice, or a trap): a braced {...}
// or T{...} of an aggregate, a lambda that captures anything with a destructor, the branches of ?:, and the
// result of a call whose own arguments are temporaries: co_await f(make("x" + y)). Name it on a line of its
// own first, then co_await with the name.
#pragma once

#include <chrono>
#include <utility>  // awaitable.hpp of Asio 1.74 forgets it

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace troupe::wire {

namespace asio = boost::asio;

using executor = asio::any_io_executor;

// Deadlines are instants of this clock; durations in options are how long one step may take.
using clock = std::chrono::steady_clock;
using time_point = clock::time_point;

}  // namespace troupe::wire
