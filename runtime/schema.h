// JSON Schema: bodies are checked once, at the door, by validators that are compiled once.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "runtime/problem.h"

namespace troupe {

/// One compiled schema. Immutable and thread-safe.
class schema {
 public:
  /// Throws std::logic_error naming `name` and what is wrong with the text.
  schema(std::string_view name, std::string_view text);
  ~schema();

  /// Every violation with its JSON pointer, at most 32; empty when the value fits.
  std::vector<violation> check(const nlohmann::json& value) const;
  /// The value with every property marked `writeOnly` replaced by "***".
  nlohmann::json redact(nlohmann::json value) const;
  /// Whether redact() could change anything.
  bool has_secrets() const { return !secrets_.empty(); }

 private:
  class compiled;
  std::unique_ptr<compiled> compiled_;
  std::vector<std::vector<std::string>> secrets_;
};

/// 422 `invalid_body` with the violations in words and as data.
problem invalid_body(const std::vector<violation>&);

}  // namespace troupe
