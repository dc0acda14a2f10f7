// Reading from a process's stdout, stderr or terminal.
#pragma once

#include <memory>
#include <string>

#include "net/wire/asio.h"
#include "sandboxd/descriptor.h"

namespace troupe::sandboxd {

// The largest piece that one read brings.
constexpr std::size_t max_read_bytes = 64 * 1024;

// One reader at a time; used on one thread. Not reading is how the writer is slowed down.
class byte_source {
 public:
  byte_source(wire::executor ex, descriptor fd);
  ~byte_source();

  // The next bytes; empty at the end (everybody closed it, the terminal hung up, or close()).
  wire::asio::awaitable<std::string> read();

  // A read in progress ends.
  void close();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace troupe::sandboxd
