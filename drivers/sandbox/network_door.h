// The server's end of a sandbox's way out: an HTTP proxy and named forwards on unix sockets that are mounted
// into it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "drivers/daemon/failed.h"
#include "drivers/sandbox/egress_rule.h"
#include "net/wire/asio.h"

namespace troupe::drivers {

inline constexpr std::size_t door_connections = 256;          // per sandbox; beyond it one is closed at once
inline constexpr std::size_t proxy_header_bytes = 16 * 1024;  // of a request to the proxy; then 431
inline constexpr auto proxy_header_limit = std::chrono::seconds(10);
inline constexpr auto proxy_connect_limit = std::chrono::seconds(15);  // resolving and connecting
inline constexpr auto tunnel_idle_limit = std::chrono::minutes(30);    // no byte in either direction

// One line of the ledger, written when a request is over.
struct egress_record {
  std::string method;  // CONNECT, GET, …; FORWARD for named forwards
  std::string host;
  std::uint16_t port = 0;
  std::string address;  // what it was connected to; empty if it was not
  bool allowed = false;
  std::string why;                            // of a refusal or failure
  std::uint64_t bytes_out = 0, bytes_in = 0;  // from and to the sandbox
};

struct door_forward {
  std::string socket;  // file name in the folder
  host_port to;        // reached whatever the rule says: whoever made the sandbox named it
};

struct door_options {
  std::filesystem::path folder;  // net/ of the sandbox; made if it is missing
  std::uint32_t peer_uid = 0;    // the only host uid that may connect
  egress_rule rule;
  std::vector<door_forward> forwards;
  std::function<void(const egress_record&)> ledger;  // any thread of the executor
};

// Thread-safe. The proxy understands CONNECT and absolute-form requests, one per connection. A name is
// resolved once and the connection goes to the address that was checked, so that a second answer of a name
// server changes nothing.
class network_door {
 public:
  static attempt<std::shared_ptr<network_door>> open(wire::executor ex, door_options options);
  ~network_door();

  // Stops listening and cuts what is open. Files stay.
  void close();

 private:
  struct impl;
  explicit network_door(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::drivers
