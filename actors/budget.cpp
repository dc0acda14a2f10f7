#include "actors/budget.h"

#include <array>
#include <cstdio>

namespace troupe::actors {
namespace {

std::string amount(double cost, const std::string& currency) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.2f", cost);
  return text.data() + (currency.empty() ? std::string() : " " + currency);
}

}  // namespace

nlohmann::json budget::to_json() const {
  if (empty()) return nullptr;
  nlohmann::json j = nlohmann::json::object();
  if (tokens) j["tokens"] = *tokens;
  if (cost) j["cost"] = *cost;
  return j;
}

budget budget::from_json(const nlohmann::json& j) {
  budget b;
  if (j.is_object()) b.change(j);
  return b;
}

void budget::change(const nlohmann::json& body) {
  if (const auto at = body.find("tokens"); at != body.end())
    tokens = at->is_null() ? std::nullopt : std::optional(at->get<std::int64_t>());
  if (const auto at = body.find("cost"); at != body.end())
    cost = at->is_null() ? std::nullopt : std::optional(at->get<double>());
}

std::string budget::breach(const used& u, std::string_view whose) const {
  if (tokens && u.tokens >= *tokens)
    return "the budget of " + std::string(whose) + ", " + std::to_string(*tokens) + " tokens, is used up (" +
           std::to_string(u.tokens) + ")";
  if (cost && u.cost >= *cost)
    return "the budget of " + std::string(whose) + ", " + amount(*cost, u.currency) + ", is used up (" +
           amount(u.cost, u.currency) + ")";
  return {};
}

}  // namespace troupe::actors
