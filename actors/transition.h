// A kind's states as data: handlers ask the table, docs/domain.md shows it, a test holds the two together.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/problem.h"

namespace troupe::actors {

/// In state `from`, command `on` leads to state `to`. What is not in the table is a conflict.
struct transition {
  std::string_view from;
  std::string_view on;
  std::string_view to;

  bool operator==(const transition&) const = default;
};

/// Where `on` leads from `state`; nothing when the table does not have it.
std::optional<std::string_view> next_state(std::span<const transition> table, std::string_view state,
                                           std::string_view on);

/// The problem for a command that the state does not allow: 409 `wrong_state`, naming the states that would.
problem wrong_state(std::span<const transition> table, std::string_view what, std::string_view state,
                    std::string_view on, std::string_view remedy = {});

}  // namespace troupe::actors
