// What work used, and what it may use: tokens, and an amount of money as agents report it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace troupe::actors {

struct used {
  std::int64_t tokens = 0;
  double cost = 0;
  std::string currency;  // as it was last reported; amounts are added as they are
};

struct budget {
  std::optional<std::int64_t> tokens;
  std::optional<double> cost;

  bool empty() const { return !tokens && !cost; }
  /// {tokens?, cost?}; null where there is none.
  nlohmann::json to_json() const;
  static budget from_json(const nlohmann::json&);
  /// The members that `body` has replace the ones here, null takes one away.
  void change(const nlohmann::json& body);
  /// In words, for "the budget of WHOSE"; empty while there is something left. A budget of 0 allows nothing.
  std::string breach(const used&, std::string_view whose) const;
};

}  // namespace troupe::actors
