#include "runtime/kind.h"

#include <algorithm>

namespace troupe {
namespace {

// The first `count` segments of a key's text, or all of it.
std::string_view leading(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  while (count-- > 0) {
    at = text.find('/', at);
    if (at == text.npos) return text;
    ++at;
  }
  return text.substr(0, at - 1);
}

}  // namespace

from from::client(std::string_view role) {
  from f(0);
  f.role_ = role;
  return f;
}

from from::kind(std::string_view name, std::uint8_t same_segments) {
  from f(0);
  f.kinds_.push_back({name, same_segments});
  return f;
}

from from::operator|(from other) const {
  other.bits_ |= bits_;
  if (!role_.empty()) other.role_ = role_;
  other.kinds_.insert(other.kinds_.begin(), kinds_.begin(), kinds_.end());
  return other;
}

bool from::allows_actor(const key& sender, const key& target) const {
  if (sender == target) return allows_self();
  if ((bits_ & parent_bit) && target.parent() == sender) return true;
  if ((bits_ & child_bit) && sender.parent() == target) return true;
  return std::ranges::any_of(kinds_, [&](const named& n) {
    return sender.kind() == n.kind && (n.same_segments == 0 || leading(sender.str(), n.same_segments) ==
                                                                   leading(target.str(), n.same_segments));
  });
}

std::string from::text() const {
  std::string out;
  const auto add = [&](std::string_view word) {
    if (!out.empty()) out += ", ";
    out += word;
  };
  if (!role_.empty()) add("client(" + std::string(role_) + ")");
  if (bits_ & parent_bit) add("parent");
  if (bits_ & child_bit) add("child");
  if (bits_ & self_bit) add("self");
  if (bits_ & effect_bit) add("effect");
  if (bits_ & reply_bit) add("reply");
  if (bits_ & host_bit) add("host");
  for (const auto& n : kinds_) add(n.kind);
  return out;
}

}  // namespace troupe
