#include "runtime/key.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

namespace troupe {
namespace {

constexpr std::array reserved{"commands", "queries", "snapshot", "streams", "inspect"};

bool is_reserved(std::string_view s) {
  return std::ranges::find(reserved, s) != reserved.end();
}

bool valid_kind(std::string_view s) {
  if (s.empty() || s.size() > key::max_id_bytes || s[0] < 'a' || s[0] > 'z') return false;
  return std::ranges::all_of(
      s, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::size_t segments(std::string_view s) {
  return 1 + std::ranges::count(s, '/');
}

bool fits(std::string_view text) {
  if (text.empty() || text.size() > key::max_bytes || segments(text) > key::max_segments) return false;
  bool want_kind = true;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find('/', at), text.size());
    const auto segment = text.substr(at, end - at);
    if (is_reserved(segment) || !(want_kind ? valid_kind(segment) : key::valid_id(segment))) return false;
    want_kind = !want_kind;
    at = end + 1;
  }
  return true;
}

}  // namespace

bool key::valid_id(std::string_view s) {
  if (s.empty() || s.size() > max_id_bytes || s == "." || s == ".." || is_reserved(s)) return false;
  return std::ranges::all_of(s, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

std::optional<key> key::parse(std::string_view text) {
  if (!fits(text)) return std::nullopt;
  return key(std::string(text), checked{});
}

key::key(std::string_view text) : text_(text) {
  if (!fits(text)) {
    throw std::invalid_argument("«" + text_.substr(0, max_bytes) +
                                "» is no key: segments alternate kind and id, as in org/acme/task/t1");
  }
}

bool key::singleton() const {
  return segments(text_) % 2 == 1;
}

std::string_view key::kind() const {
  const std::string_view s = text_;
  const auto last = s.rfind('/');
  if (singleton()) return last == s.npos ? s : s.substr(last + 1);
  const auto before = s.rfind('/', last - 1);
  const auto start = before == s.npos ? 0 : before + 1;
  return s.substr(start, last - start);
}

std::string_view key::id() const {
  if (singleton()) return {};
  return std::string_view(text_).substr(text_.rfind('/') + 1);
}

std::optional<key> key::parent() const {
  auto cut = text_.rfind('/');
  if (cut == text_.npos) return std::nullopt;
  if (!singleton()) {
    cut = text_.rfind('/', cut - 1);
    if (cut == text_.npos) return std::nullopt;
  }
  return key(text_.substr(0, cut), checked{});
}

bool key::covers(const key& other) const {
  return other.text_.starts_with(text_) &&
         (other.text_.size() == text_.size() || other.text_[text_.size()] == '/');
}

std::string_view key::id_of(std::string_view wanted) const {
  const std::string_view s = text_;
  for (std::size_t at = 0; at < s.size();) {
    const auto kind_end = std::min(s.find('/', at), s.size());
    const auto id_end = kind_end == s.size() ? s.size() : std::min(s.find('/', kind_end + 1), s.size());
    if (s.substr(at, kind_end - at) == wanted && kind_end < s.size()) {
      return s.substr(kind_end + 1, id_end - kind_end - 1);
    }
    at = id_end + 1;
  }
  return {};
}

std::optional<key> key::up_to(std::string_view wanted) const {
  for (std::optional<key> at = *this; at; at = at->parent()) {
    if (at->kind() == wanted) return at;
  }
  return std::nullopt;
}

key key::child(std::string_view kind, std::string_view id) const {
  return key(text_ + '/' + std::string(kind) + '/' + std::string(id));
}

key key::child(std::string_view singleton_kind) const {
  return key(text_ + '/' + std::string(singleton_kind));
}

}  // namespace troupe
