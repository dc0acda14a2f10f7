// Reading JSON that somebody else made: what is missing or of another type reads as empty, never throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace troupe::actors {

inline const nlohmann::json& field(const nlohmann::json& j, const char* name) {
  static const nlohmann::json none;
  if (!j.is_object()) return none;
  const auto found = j.find(name);
  return found == j.end() ? none : *found;
}

inline std::string text_field(const nlohmann::json& j, const char* name) {
  const auto& f = field(j, name);
  return f.is_string() ? f.get<std::string>() : std::string();
}

/// Negative and fractional numbers read as they are, rounded; beyond 2^53 as 0.
inline std::int64_t number_field(const nlohmann::json& j, const char* name) {
  const auto& f = field(j, name);
  if (!f.is_number()) return 0;
  const auto d = f.get<double>();
  return d > -9e15 && d < 9e15 ? static_cast<std::int64_t>(d) : 0;
}

inline double real_field(const nlohmann::json& j, const char* name) {
  const auto& f = field(j, name);
  return f.is_number() ? f.get<double>() : 0;
}

}  // namespace troupe::actors
