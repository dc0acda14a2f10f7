#include "sandboxd/reading.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "sandboxd/contract.h"

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

std::string described(const json& v) {
  switch (v.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::boolean:
      return v.get<bool>() ? "boolean `true`" : "boolean `false`";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      return "integer `" + v.dump() + "`";
    case json::value_t::number_float:
      return "floating point `" + v.dump() + "`";
    case json::value_t::string:
      return "string " + v.dump();
    case json::value_t::array:
      return "sequence";
    default:
      return "map";
  }
}

}  // namespace

std::string query_reader::text(const char* name) {
  if (auto* found = query_.find(name)) return *found;
  if (!refusal) refusal = contract::bad_query(std::string("missing field `") + name + "`");
  return {};
}

std::optional<std::string> query_reader::optional_text(const char* name) const {
  if (auto* found = query_.find(name)) return *found;
  return std::nullopt;
}

std::optional<std::uint64_t> query_reader::number(const char* name) {
  auto* found = query_.find(name);
  if (!found) return std::nullopt;
  std::uint64_t out = 0;
  auto [end, ec] = std::from_chars(found->data(), found->data() + found->size(), out);
  if (ec == std::errc() && end == found->data() + found->size() && !found->empty()) return out;
  if (!refusal) refusal = contract::bad_query(std::string(name) + ": invalid digit found in string");
  return std::nullopt;
}

bool query_reader::flag(const char* name) {
  auto* found = query_.find(name);
  if (!found || *found == "false") return false;
  if (*found == "true") return true;
  if (!refusal)
    refusal = contract::bad_query(std::string(name) + ": provided string was not `true` or `false`");
  return false;
}

body_reader::body_reader(const wire::request& from) : value_(json::object()) {
  if (!is_media_type(from.headers.find("content-type"), "application/json")) {
    refusal = contract::not_json();
    return;
  }
  try {
    value_ = json::parse(from.body);
  } catch (const json::parse_error& e) {
    // Without the library's "[json.exception.parse_error.101] ".
    std::string_view what = e.what();
    if (auto at = what.find("] "); at != what.npos) what.remove_prefix(at + 2);
    refusal = contract::bad_json(what);
    return;
  }
  if (value_.is_object()) return;
  refusal = contract::bad_body("invalid type: " + described(value_) + ", expected a map at line 1 column 1");
  value_ = json::object();
}

const json* body_reader::find(const char* name, bool required) {
  auto at = value_.find(name);
  if (at != value_.end() && !at->is_null()) return &*at;
  if (required && at != value_.end())
    wrong(*at, "a value");
  else if (required && !refusal)
    refusal = contract::bad_body(std::string("missing field `") + name + "`");
  return nullptr;
}

void body_reader::wrong(const json& value, const char* expected) {
  if (!refusal) refusal = contract::bad_body("invalid type: " + described(value) + ", expected " + expected);
}

std::string body_reader::text(const char* name) {
  auto* v = find(name, true);
  if (!v) return {};
  if (v->is_string()) return v->get<std::string>();
  wrong(*v, "a string");
  return {};
}

std::optional<std::string> body_reader::optional_text(const char* name) {
  auto* v = find(name, false);
  if (!v) return std::nullopt;
  if (v->is_string()) return v->get<std::string>();
  wrong(*v, "a string");
  return std::nullopt;
}

std::vector<std::string> body_reader::optional_texts(const char* name) {
  std::vector<std::string> out;
  auto* v = find(name, false);
  if (!v) return out;
  if (!v->is_array()) {
    wrong(*v, "a sequence");
    return out;
  }
  for (auto& item : *v) {
    if (item.is_string())
      out.push_back(item.get<std::string>());
    else
      wrong(item, "a string");
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> body_reader::optional_map(const char* name) {
  std::vector<std::pair<std::string, std::string>> out;
  auto* v = find(name, false);
  if (!v) return out;
  if (!v->is_object()) {
    wrong(*v, "a map");
    return out;
  }
  for (auto& [key, item] : v->items()) {
    if (item.is_string())
      out.emplace_back(key, item.get<std::string>());
    else
      wrong(item, "a string");
  }
  return out;
}

bool body_reader::flag(const char* name) {
  auto* v = find(name, false);
  if (!v) return false;
  if (v->is_boolean()) return v->get<bool>();
  wrong(*v, "a boolean");
  return false;
}

std::optional<std::uint64_t> body_reader::optional_number(const char* name) {
  auto* v = find(name, false);
  if (!v) return std::nullopt;
  if (v->is_number_unsigned()) return v->get<std::uint64_t>();
  wrong(*v, "u64");
  return std::nullopt;
}

std::uint64_t body_reader::number(const char* name, std::uint64_t max) {
  auto* v = find(name, true);
  if (!v) return 0;
  if (v->is_number_unsigned() && v->get<std::uint64_t>() <= max) return v->get<std::uint64_t>();
  wrong(*v, max == UINT64_MAX ? "u64" : max == UINT16_MAX ? "u16" : "a smaller number");
  return 0;
}

bool is_media_type(std::optional<std::string_view> content_type, std::string_view wanted) {
  if (!content_type) return false;
  auto type = trim(content_type->substr(0, content_type->find(';')));
  return wire::equal_ignoring_case(type, wanted);
}

bool accepts(const wire::headers& fields, std::string_view type) {
  if (!fields.has("accept")) return true;
  auto slash = type.find('/');
  for (auto& [name, value] : fields) {
    if (!wire::equal_ignoring_case(name, "accept")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      auto comma = rest.find(',');
      auto item = trim(rest.substr(0, comma));
      item = trim(item.substr(0, item.find(';')));
      rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
      if (item == "*/*" || wire::equal_ignoring_case(item, type)) return true;
      if (item.size() == slash + 2 && item.substr(slash) == "/*" &&
          wire::equal_ignoring_case(item.substr(0, slash), type.substr(0, slash)))
        return true;
    }
  }
  return false;
}

std::string rfc3339(std::int64_t unix_ns) {
  std::time_t seconds = unix_ns / 1'000'000'000;
  auto nanos = unix_ns % 1'000'000'000;
  if (nanos < 0) nanos += 1'000'000'000, --seconds;
  std::tm t{};
  ::gmtime_r(&seconds, &t);
  char out[64];
  auto n = std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &t);
  std::snprintf(out + n, sizeof out - n, ".%09lld+00:00", static_cast<long long>(nanos));
  return out;
}

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::string valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    auto c = static_cast<unsigned char>(bytes[i]);
    int more = c < 0x80                ? 0
               : c >= 0xC2 && c < 0xE0 ? 1
               : c >= 0xE0 && c < 0xF0 ? 2
               : c >= 0xF0 && c < 0xF5 ? 3
                                       : -1;
    std::size_t good = 1;
    while (more > 0 && good <= static_cast<std::size_t>(more) && i + good < bytes.size()) {
      auto d = static_cast<unsigned char>(bytes[i + good]);
      // The second byte excludes overlong forms, surrogates and what is beyond U+10FFFF.
      unsigned char low = good > 1 ? 0x80 : c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
      unsigned char high = good > 1 ? 0xBF : c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
      if (d < low || d > high) break;
      ++good;
    }
    if (more >= 0 && good == static_cast<std::size_t>(more) + 1)
      out.append(bytes.substr(i, good));
    else
      out.append("\xEF\xBF\xBD");
    i += good;
  }
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t v = 0;
    for (std::size_t k = 0; k < 3; ++k)
      v = v << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    out += digits[v >> 18 & 63];
    out += digits[v >> 12 & 63];
    out += i + 1 < bytes.size() ? digits[v >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? digits[v & 63] : '=';
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  auto value = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  for (std::size_t i = 0; i < text.size(); i += 4) {
    bool last = i + 4 == text.size();
    int padding = last ? (text[i + 3] == '=') + (text[i + 2] == '=' && text[i + 3] == '=') : 0;
    std::uint32_t v = 0;
    for (int k = 0; k < 4; ++k) {
      int d = k < 4 - padding ? value(text[i + static_cast<std::size_t>(k)]) : 0;
      if (d < 0) return std::nullopt;
      v = v << 6 | static_cast<std::uint32_t>(d);
    }
    out += static_cast<char>(v >> 16);
    if (padding < 2) out += static_cast<char>(v >> 8);
    if (padding < 1) out += static_cast<char>(v);
  }
  return out;
}

wire::response json_response(const json& value, int status) {
  return wire::response::json(status, value.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace troupe::sandboxd
