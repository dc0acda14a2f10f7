#include "cli/named_values.h"

#include <utility>

#include <fmt/format.h>

#include "cli/failure.h"

namespace troupe::cli {

using nlohmann::json;

namespace {

std::pair<std::string, std::string> split(const std::string& pair, const std::string& option) {
  const auto equals = pair.find('=');
  if (equals == std::string::npos || equals == 0)
    throw misused(fmt::format("{} {} is not NAME=VALUE", option, pair), "write it as NAME=VALUE");
  return {pair.substr(0, equals), pair.substr(equals + 1)};
}

json number(const std::string& text, const std::string& option, bool whole) {
  const auto value = json::parse(text, nullptr, false);
  if (!(whole ? value.is_number_integer() : value.is_number()) || value < 0)
    throw misused(fmt::format("{} {} is no {}number", option, text, whole ? "whole " : ""),
                  "a number from 0, or none");
  return value;
}

}  // namespace

json named_values(const std::vector<std::string>& pairs, const std::string& option) {
  json made = json::object();
  for (const auto& pair : pairs) {
    const auto [name, value] = split(pair, option);
    made[name] = value.starts_with("secret:") ? json{{"secret", value.substr(7)}} : json(value);
  }
  return made;
}

json requirements(const std::vector<std::string>& pairs, json before) {
  for (const auto& pair : pairs) {
    auto [name, text] = split(pair, "--require");
    if (text.empty()) {
      before.erase(name);
      continue;
    }
    const bool best_effort = text.ends_with('?');
    if (best_effort) text.pop_back();
    const auto value = json::parse(text, nullptr, false);
    if (!value.is_number() && !value.is_boolean())
      throw misused(fmt::format("--require {} has neither a number nor true or false", pair),
                    "for example --require memory_mb=4096");
    before[name] = best_effort ? json{{"value", value}, {"best_effort", true}} : value;
  }
  return before;
}

json number_or_none(const std::string& text, const std::string& option, bool whole) {
  return text == "none" ? json(nullptr) : number(text, option, whole);
}

}  // namespace troupe::cli
