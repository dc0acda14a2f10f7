// How often an address may be wrong about who it is: some times at once, then once in a while. Private to
// this folder. Thread-safe.
#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "net/wire/asio.h"

namespace troupe::gateway {

class throttle {
 public:
  static constexpr int at_once = 20;
  static constexpr std::chrono::seconds then_every{3};
  // Those that were wrong longest ago go first; whoever can use so many addresses is not held by this.
  static constexpr std::size_t addresses = 4096;

  // How long until it may try again; nothing when it may now.
  std::optional<std::chrono::seconds> wait(const std::string& address,
                                           wire::time_point now = wire::clock::now());
  void wrong(const std::string& address, wire::time_point now = wire::clock::now());
  std::size_t size() const;

  // What is counted together: an address of version 4, a /64 of version 6, everything that is no address.
  static std::string counted_as(std::string_view peer_address);

 private:
  struct one {
    std::string address;
    // When all of its mistakes will be forgiven; each adds then_every.
    wire::time_point forgiven;
  };

  mutable std::mutex mutex_;
  std::list<one> by_time_;  // the latest mistake first
  std::unordered_map<std::string, std::list<one>::iterator> known_;
};

}  // namespace troupe::gateway
