#include "actors/transition.h"

namespace troupe::actors {

std::optional<std::string_view> next_state(std::span<const transition> table, std::string_view state,
                                           std::string_view on) {
  for (const auto& t : table)
    if (t.from == state && t.on == on) return t.to;
  return std::nullopt;
}

problem wrong_state(std::span<const transition> table, std::string_view what, std::string_view state,
                    std::string_view on, std::string_view remedy) {
  std::string allowed;
  for (const auto& t : table) {
    if (t.on != on) continue;
    if (!allowed.empty()) allowed += ", ";
    allowed += t.from;
  }
  std::string detail(on);
  detail += " is not possible while ";
  detail += what;
  detail += " is ";
  detail += state;
  detail += allowed.empty() ? std::string("; no state allows it") : "; it is in " + allowed;
  if (!remedy.empty()) {
    detail += ". ";
    detail += remedy;
  }
  return conflict("wrong_state", std::move(detail));
}

}  // namespace troupe::actors
