// Reading of command bodies that fit their schema already.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace troupe::actors {

/// The text of a field; nothing when it is absent or null.
inline std::optional<std::string> text_of(const nlohmann::json& body, std::string_view name) {
  if (!body.is_object()) return std::nullopt;
  const auto it = body.find(name);
  if (it == body.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

inline std::string text_or(const nlohmann::json& body, std::string_view name, std::string_view otherwise) {
  return text_of(body, name).value_or(std::string(otherwise));
}

/// The integer of a field; nothing when it is absent or null.
inline std::optional<std::int64_t> integer_of(const nlohmann::json& body, std::string_view name) {
  const auto it = body.find(name);
  if (it == body.end() || !it->is_number_integer()) return std::nullopt;
  return it->get<std::int64_t>();
}

inline bool flag_of(const nlohmann::json& body, std::string_view name, bool otherwise = false) {
  const auto it = body.find(name);
  return it == body.end() || !it->is_boolean() ? otherwise : it->get<bool>();
}

/// The field as JSON text for a column; nothing when it is absent or null.
inline std::optional<std::string> json_of(const nlohmann::json& body, std::string_view name) {
  const auto it = body.find(name);
  if (it == body.end() || it->is_null()) return std::nullopt;
  return it->dump();
}

/// JSON for a column that may be NULL.
template <class T>
nlohmann::json or_null(const std::optional<T>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

/// A column that holds JSON text.
inline nlohmann::json parsed(const std::optional<std::string>& text, nlohmann::json otherwise = nullptr) {
  return text ? nlohmann::json::parse(*text) : std::move(otherwise);
}

}  // namespace troupe::actors
