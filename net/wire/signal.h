// Waking a coroutine from elsewhere: a flag that is raised from any thread and awaited by one coroutine.
#pragma once

#include <memory>

#include "net/wire/asio.h"

namespace troupe::wire {

// Raising an already raised signal does nothing, so a burst costs one wake. wait() lowers it. A raise()
// before the wait() is not lost. raise() from any thread; everything else on the executor given to the
// constructor, which must be a strand (or run by one thread). One waiter at a time. Copies are the same
// signal, so that a callback may hold one longer than the coroutine lives.
class signal {
 public:
  explicit signal(executor strand);

  void raise() const;

  // True when it was raised, false when the deadline passed first.
  asio::awaitable<bool> wait(time_point until = time_point::max()) const;

 private:
  struct state;
  std::shared_ptr<state> state_;
};

// Ends after that long. Not cancellable: keep it short.
asio::awaitable<void> sleep_for(clock::duration howlong);

}  // namespace troupe::wire
