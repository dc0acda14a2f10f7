// What handlers answer, and how the outcome of an effect or of a question comes back.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "runtime/problem.h"

namespace troupe {

using nlohmann::json;

/// A result, or the problem why there is none. Handlers `return json{…};` or `return conflict("…", "…");`.
class answer {
 public:
  answer(json result) : is_(std::move(result)) {}       // NOLINT: a handler returns either by its plain value
  answer(troupe::problem why) : is_(std::move(why)) {}  // NOLINT

  bool ok() const { return is_.index() == 0; }
  const json& result() const { return std::get<json>(is_); }
  json& result() { return std::get<json>(is_); }
  const troupe::problem& problem() const { return std::get<troupe::problem>(is_); }

 private:
  std::variant<json, troupe::problem> is_;
};

/// The answer of a handler that has nothing to say: {}.
inline answer done() {
  return json::object();
}

/// The body of a command that a row with from effect() or reply() takes:
/// {"ok":true,"result":…,"context":…} or {"ok":false,"error":{problem},"context":…}, with "effect": its id
/// for effects.
struct outcome {
  std::string effect;
  std::variant<json, troupe::problem> is;
  json context;

  bool ok() const { return is.index() == 0; }
  const json& result() const { return std::get<json>(is); }
  const troupe::problem& error() const { return std::get<troupe::problem>(is); }

  static outcome of(const json& body);
};

}  // namespace troupe
