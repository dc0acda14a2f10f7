#include "net/gateway/canonical.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <sodium.h>

namespace troupe::gateway {

namespace {

using nlohmann::json;

// Names are sorted by UTF-16 units: bytes of UTF-8 sort the same, but for what UTF-16 writes as surrogates
// (four bytes here), which sorts before U+E000 to U+FFFF (first byte 0xEE or 0xEF).
bool before(const std::string& a, const std::string& b) {
  auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (y == b.end()) return false;
  if (x == a.end()) return true;
  auto left = static_cast<unsigned char>(*x), right = static_cast<unsigned char>(*y);
  if ((left >= 0xF0) != (right >= 0xF0) && std::min(left, right) >= 0xEE) return left >= 0xF0;
  return left < right;
}

// As ECMAScript's Number.prototype.toString: the shortest digits that give the number back.
std::string number(double value) {
  if (value == 0) return "0";
  char text[32];
  auto [end, error] = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific);
  std::string_view all(text, static_cast<std::size_t>(end - text));
  std::string out;
  if (all.front() == '-') {
    out = "-";
    all.remove_prefix(1);
  }
  auto mark = all.find('e');
  std::string digits(all.substr(0, mark));
  std::erase(digits, '.');
  int exponent = 0;
  auto power = all.substr(mark + 1);
  if (power.front() == '+') power.remove_prefix(1);
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  const int count = static_cast<int>(digits.size()), point = exponent + 1;
  if (point > 21 || point <= -6) {
    out += digits.substr(0, 1);
    if (count > 1) out += "." + digits.substr(1);
    return out + (exponent < 0 ? "e-" : "e+") + std::to_string(std::abs(exponent));
  }
  if (point <= 0) return out + "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
  if (count <= point) return out + digits + std::string(static_cast<std::size_t>(point - count), '0');
  return out + digits.substr(0, static_cast<std::size_t>(point)) + "." +
         digits.substr(static_cast<std::size_t>(point));
}

void write(std::string& out, const json& value) {
  if (value.is_object()) {
    std::vector<const std::string*> names;
    for (const auto& [name, member] : value.items()) names.push_back(&name);
    std::sort(names.begin(), names.end(), [](auto* a, auto* b) { return before(*a, *b); });
    out += '{';
    for (const auto* name : names) {
      if (name != names.front()) out += ',';
      out += json(*name).dump() + ':';
      write(out, value.at(*name));
    }
    out += '}';
  } else if (value.is_array()) {
    out += '[';
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i) out += ',';
      write(out, value[i]);
    }
    out += ']';
  } else if (value.is_number_float()) {
    out += number(value.get<double>());
  } else {
    out += value.dump();
  }
}

}  // namespace

std::string canonical(const json& value) {
  std::string out;
  write(out, value);
  return out;
}

std::string content_hash(const json& value) {
  auto text = canonical(value);
  unsigned char whole[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(whole, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  char hex[33];
  sodium_bin2hex(hex, sizeof hex, whole, 16);
  return hex;
}

}  // namespace troupe::gateway
