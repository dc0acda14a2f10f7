// File names and states as JSON, for the socket between the supervisor and the file server.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "sandboxd/place.h"

namespace troupe::sandboxd {

// JSON strings are UTF-8, file names are bytes: each byte becomes the code point of its number.
inline nlohmann::json bytes_to_json(const std::string& bytes) {
  std::string out;
  for (unsigned char c : bytes) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      out += static_cast<char>(0xc0 | (c >> 6));
      out += static_cast<char>(0x80 | (c & 0x3f));
    }
  }
  return out;
}

// The opposite; throws json::type_error for what is no string. Code points above 255 were never written by
// us: `?`.
inline std::string bytes_from_json(const nlohmann::json& value) {
  const auto& text = value.get_ref<const std::string&>();
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else if ((c & 0xfc) == 0xc0 && i + 1 < text.size()) {
      out += static_cast<char>((c & 0x03) << 6 | (text[++i] & 0x3f));
    } else {
      out += '?';
    }
  }
  return out;
}

inline nlohmann::json to_json(const file_status& s) {
  return {static_cast<int>(s.kind), s.size, s.mode, s.modified_ns};
}

inline file_status file_status_from_json(const nlohmann::json& value) {
  const int kind = value.at(0).get<int>();
  file_status out;
  out.kind = kind >= 0 && kind <= 3 ? static_cast<file_kind>(kind) : file_kind::other;
  out.size = value.at(1).get<std::uint64_t>();
  out.mode = value.at(2).get<std::uint32_t>() & 07777;
  out.modified_ns = value.at(3).get<std::int64_t>();
  return out;
}

}  // namespace troupe::sandboxd
