#include "net/gateway/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "net/wire/text.h"

namespace troupe::gateway {

namespace {

constexpr unsigned v4_bits_before = 96;

}  // namespace

std::optional<ip_address> ip_address::parse(std::string_view text) {
  text = wire::trim(text);
  if (text.starts_with('[')) {
    text = text.substr(1, text.find(']') - 1);
  } else if (const auto colon = text.find(':'); colon != text.npos && colon == text.rfind(':')) {
    text = text.substr(0, colon);
  }
  const std::string spelled(text);
  ip_address out;
  in_addr four{};
  if (::inet_pton(AF_INET, spelled.c_str(), &four) == 1) {
    out.v4 = true;
    out.bytes[10] = out.bytes[11] = 0xFF;
    std::copy_n(reinterpret_cast<const unsigned char*>(&four), 4, out.bytes.begin() + 12);
    return out;
  }
  if (::inet_pton(AF_INET6, spelled.c_str(), out.bytes.data()) != 1) return std::nullopt;
  constexpr std::array<unsigned char, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  out.v4 = std::equal(mapped.begin(), mapped.end(), out.bytes.begin());
  return out;
}

std::string ip_address::str() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(v4 ? AF_INET : AF_INET6, bytes.data() + (v4 ? 12 : 0), text.data(), text.size());
  return text.data();
}

std::optional<network> network::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto from = ip_address::parse(text.substr(0, slash));
  if (!from) return std::nullopt;
  network out{*from, 128};
  if (slash == text.npos) return out;
  const auto bits = text.substr(slash + 1);
  unsigned given = 0;
  const auto read = std::from_chars(bits.data(), bits.data() + bits.size(), given);
  if (read.ec != std::errc() || read.ptr != bits.data() + bits.size() || given > (from->v4 ? 32u : 128u))
    return std::nullopt;
  out.bits = given + (from->v4 ? v4_bits_before : 0);
  return out;
}

bool network::holds(const ip_address& one) const {
  for (unsigned bit = 0; bit < bits; bit += 8) {
    const auto mask = static_cast<unsigned char>(bits - bit >= 8 ? 0xFF : 0xFF << (8 - (bits - bit)));
    if ((from.bytes[bit / 8] & mask) != (one.bytes[bit / 8] & mask)) return false;
  }
  return true;
}

}  // namespace troupe::gateway
