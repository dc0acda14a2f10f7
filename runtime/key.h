// The address of an actor: a path that mirrors the hierarchy, org/acme/task/t1.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace troupe {

/// A value that always fits the grammar: segments alternate kind and id; a singleton kind has no id and
/// stands last (org/acme/audit-log, access). A kind is [a-z][a-z0-9-]*, an id 1 to 64 of [A-Za-z0-9._-] but
/// never "." or "..". At most 8 segments and 255 bytes. commands, queries, snapshot, streams and inspect are
/// reserved and are no segment.
class key {
 public:
  static constexpr std::size_t max_bytes = 255;
  static constexpr std::size_t max_segments = 8;
  static constexpr std::size_t max_id_bytes = 64;

  /// Nothing when the text is outside the grammar.
  static std::optional<key> parse(std::string_view text);
  /// Whether a text can be an id.
  static bool valid_id(std::string_view text);

  /// For keys written in source: throws std::invalid_argument for a text outside the grammar.
  explicit key(std::string_view text);

  const std::string& str() const { return text_; }
  /// The last kind segment: "task" for org/acme/task/t1, "audit-log" for org/acme/audit-log.
  std::string_view kind() const;
  /// The last id; empty for a singleton.
  std::string_view id() const;
  bool singleton() const;
  /// org/acme for org/acme/task/t1 and for org/acme/audit-log; nothing for a root.
  std::optional<key> parent() const;
  /// Whether `other` is this key or lies below it.
  bool covers(const key& other) const;
  /// The id that follows the kind segment `kind`: "acme" for ("org") in org/acme/task/t1; empty when there is
  /// none.
  std::string_view id_of(std::string_view kind) const;
  /// The ancestor (or this key) whose last kind is `kind`.
  std::optional<key> up_to(std::string_view kind) const;

  /// Throw std::invalid_argument where the result would be outside the grammar.
  key child(std::string_view kind, std::string_view id) const;
  key child(std::string_view singleton_kind) const;

  auto operator<=>(const key&) const = default;

 private:
  struct checked {};
  key(std::string text, checked) : text_(std::move(text)) {}

  std::string text_;
};

}  // namespace troupe

template <>
struct std::hash<troupe::key> {
  std::size_t operator()(const troupe::key& k) const noexcept { return std::hash<std::string>()(k.str()); }
};
