#include "drivers/sandbox/egress_rule.h"

#include <algorithm>
#include <charconv>

namespace troupe::drivers {
namespace {

namespace ip = boost::asio::ip;

struct block {
  std::uint32_t base;
  int bits;
};

constexpr block not_public[] = {
    {0x00000000, 8},   // this network
    {0x0a000000, 8},   // private
    {0x64400000, 10},  // shared by carriers
    {0x7f000000, 8},   // loopback
    {0xa9fe0000, 16},  // link-local, cloud metadata
    {0xac100000, 12},  // private
    {0xc0000000, 24},  // protocol assignments
    {0xc0000200, 24},  // documentation
    {0xc0586300, 24},  // 6to4 relays
    {0xc0a80000, 16},  // private
    {0xc6120000, 15},  // benchmarks
    {0xc6336400, 24},  // documentation
    {0xcb007100, 24},  // documentation
    {0xe0000000, 4},   // multicast
    {0xf0000000, 4},   // reserved, broadcast
};

bool is_public_v4(std::uint32_t address) {
  return std::none_of(std::begin(not_public), std::end(not_public), [&](const block& b) {
    const std::uint32_t mask = b.bits == 0 ? 0 : ~std::uint32_t{0} << (32 - b.bits);
    return (address & mask) == b.base;
  });
}

bool is_public_v6(const ip::address_v6::bytes_type& b) {
  // Global unicast is 2000::/3; everything else is local, multicast, mapped or unassigned.
  if ((b[0] & 0xe0) != 0x20) return false;
  if (b[0] == 0x20 && b[1] == 0x01 && b[2] < 0x02) return false;  // 2001::/23: Teredo and special
  if (b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8) return false;  // documentation
  if (b[0] == 0x20 && b[1] == 0x02) return false;  // 6to4 carries an IPv4 address
  if (b[0] == 0x3f && b[1] == 0xff) return false;  // documentation
  return true;
}

std::string without_brackets(std::string_view host) {
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return std::string(host);
}

bool name_matches(std::string_view pattern, std::string_view host) {
  if (pattern.starts_with("*.")) {
    const auto tail = pattern.substr(1);
    return host.size() > tail.size() && host.ends_with(tail);
  }
  return pattern == host;
}

struct entry {
  std::string host;
  std::optional<std::uint16_t> port;
  std::optional<ip::address> address;
};

std::optional<entry> parse_entry(std::string_view text) {
  auto parsed = parse_host_port(text, std::uint16_t{0});
  if (!parsed) return {};
  entry out{parsed->host, {}, {}};
  if (parsed->port) out.port = parsed->port;
  boost::system::error_code ec;
  if (auto address = ip::make_address(out.host, ec); !ec) out.address = address;
  return out;
}

}  // namespace

bool is_public(const ip::address& address) {
  if (address.is_v4()) return is_public_v4(address.to_v4().to_uint());
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) return is_public_v4(ip::make_address_v4(ip::v4_mapped, v6).to_uint());
  return is_public_v6(v6.to_bytes());
}

std::string egress_rule::refuses(std::string_view host, std::uint16_t port) const {
  switch (what) {
    case kind::nothing:
      return "the sandbox has no network";
    case kind::public_addresses:
      return {};
    case kind::allow_list:
      break;
  }
  boost::system::error_code ec;
  const auto literal = ip::make_address(std::string(host), ec);
  for (const auto& text : allow) {
    const auto item = parse_entry(text);
    if (!item || (item->port && *item->port != port)) continue;
    if (item->address ? (!ec && *item->address == literal) : name_matches(item->host, host)) return {};
  }
  return std::string(host) + ":" + std::to_string(port) + " is not in the sandbox's allow list";
}

std::string egress_rule::refuses(std::string_view host, std::uint16_t port, const ip::address& address,
                                 const std::vector<ip::address>& own) const {
  if (auto why = refuses(host, port); !why.empty()) return why;
  if (what == kind::allow_list) {
    for (const auto& text : allow) {
      const auto item = parse_entry(text);
      if (item && item->address && *item->address == address && (!item->port || *item->port == port))
        return {};
    }
  }
  if (!is_public(address))
    return std::string(host) + " is " + address.to_string() + ", which is not a public address";
  if (std::find(own.begin(), own.end(), address) != own.end())
    return std::string(host) + " is " + address.to_string() + ", an address of the server itself";
  return {};
}

std::optional<host_port> parse_host_port(std::string_view text, std::optional<std::uint16_t> otherwise) {
  host_port out;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return {};
    out.host = without_brackets(text.substr(0, close + 1));
    if (close + 1 < text.size()) {
      if (text[close + 1] != ':') return {};
      port = text.substr(close + 2);
      if (port.empty()) return {};
    }
  } else {
    const auto colon = text.find(':');
    if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) {
      out.host = text;  // a bare IPv6 address
    } else {
      out.host = text.substr(0, colon);
      if (colon != std::string_view::npos) {
        port = text.substr(colon + 1);
        if (port.empty()) return {};
      }
    }
  }
  if (port.empty()) {
    if (!otherwise) return {};
    out.port = *otherwise;
  } else {
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (ec != std::errc{} || end != port.data() + port.size() || out.port == 0) return {};
  }
  while (!out.host.empty() && out.host.back() == '.') out.host.pop_back();
  if (out.host.empty() || out.host.size() > 253) return {};
  for (char& c : out.host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                      c == ':' || c == '*';
    if (!fine) return {};
  }
  return out;
}

}  // namespace troupe::drivers
