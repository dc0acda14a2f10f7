// The way out of a sandbox without a network: TCP on its own loopback, passed to unix sockets that are
// mounted in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

inline constexpr std::size_t relay_connections = 256;         // more wait in the listen queue
inline constexpr std::size_t relay_buffer_bytes = 32 * 1024;  // per direction of a connection

struct relay_route {
  std::uint16_t port = 0;  // on 127.0.0.1
  std::string socket;      // unix socket, opened anew for each connection: its server may come and go
};

struct relay_listener {
  descriptor socket;
  std::string target;
};

outcome<std::vector<relay_listener>> listen_on_loopback(const std::vector<relay_route>& routes);

// Passes bytes until it is killed. A connection whose socket does not answer is closed at once. Half-closes
// are kept.
[[noreturn]] void run_relay(const std::vector<relay_listener>& listeners);

}  // namespace troupe::sandboxd
