// A sandbox in words: its state, and which of its promises hold.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace troupe::cli {

std::string sandbox_state(const terminal&, const std::string& state);

/// One line for each requirement: enforced, best effort or absent, and what is in force. `items` as
/// sandbox.create answers it (docs/effects.md).
std::string promises(const terminal&, const nlohmann::json& items);

}  // namespace troupe::cli
