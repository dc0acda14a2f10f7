// Writing to a process's stdin or terminal: in order, bounded, never blocking the daemon.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "net/wire/asio.h"
#include "net/wire/signal.h"
#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

// What may wait for a reader that does not read.
constexpr std::size_t max_waiting_input_bytes = 32 << 20;

// Used on one thread. Whatever is queued is written even when the one who queued it does not wait any longer.
class byte_sink : public std::enable_shared_from_this<byte_sink> {
 public:
  static std::shared_ptr<byte_sink> make(wire::executor ex, descriptor fd);
  ~byte_sink();

  // Completes when the kernel has all of it. EPIPE: the reader is gone, or close() came first. EAGAIN at once
  // when too much waits already: nothing of it was taken.
  wire::asio::awaitable<outcome<done>> write(std::string bytes);

  // Ends it after what is queued. cut(): at once.
  void close();
  void cut();

  bool open() const;

 private:
  struct state;
  explicit byte_sink(std::unique_ptr<state> s);
  static wire::asio::awaitable<void> drain(std::shared_ptr<byte_sink> self);
  std::unique_ptr<state> state_;
};

}  // namespace troupe::sandboxd
