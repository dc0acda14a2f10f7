// Addresses of peers, and the networks of proxies that are believed. Private to this folder but for network.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::gateway {

/// An IP address; one of version 4 as its place in version 6.
struct ip_address {
  std::array<unsigned char, 16> bytes{};
  bool v4 = false;

  /// "192.0.2.1", "2001:db8::1", "[::1]", each also with a port behind.
  static std::optional<ip_address> parse(std::string_view text);
  std::string str() const;
  bool operator==(const ip_address&) const = default;
};

/// "10.0.0.0/8", "fd00::/8", or one address.
struct network {
  ip_address from;
  unsigned bits = 128;  ///< of the sixteen bytes

  static std::optional<network> parse(std::string_view text);
  bool holds(const ip_address&) const;
};

}  // namespace troupe::gateway
