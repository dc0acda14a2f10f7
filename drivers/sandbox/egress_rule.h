// What a sandbox may reach through the server's proxy. Pure functions over names and addresses: nothing is
// resolved here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

namespace troupe::drivers {

// An address that anyone on the Internet could have: not loopback, private, link-local (where clouds put
// their metadata), shared, multicast, reserved, documentation, nor an IPv6 form that carries such an IPv4
// address.
bool is_public(const boost::asio::ip::address& address);

struct egress_rule {
  enum class kind { nothing, public_addresses, allow_list };
  kind what = kind::nothing;
  // "example.org", "example.org:443", "*.example.org", "192.0.2.7", "192.0.2.7:8080", "[2001:db8::1]:443".
  // Names stand for public addresses only, so that whoever owns a name cannot point it into the server's
  // network; an address stands for itself, whatever it is.
  std::vector<std::string> allow;

  // May this host and port be asked for at all? Empty: yes. Else the reason.
  std::string refuses(std::string_view host, std::uint16_t port) const;
  // May it be connected to at this address, to which the host was resolved? `own`: the server's own
  // addresses.
  std::string refuses(std::string_view host, std::uint16_t port, const boost::asio::ip::address& address,
                      const std::vector<boost::asio::ip::address>& own) const;
};

// "host:port", "[v6]:port"; the port may be left out when `otherwise` has one. Lower case, no trailing dot.
struct host_port {
  std::string host;
  std::uint16_t port = 0;
};
std::optional<host_port> parse_host_port(std::string_view text, std::optional<std::uint16_t> otherwise = {});

}  // namespace troupe::drivers
