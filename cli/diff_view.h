// Changes to files in colour: a unified diff as git prints it, and the two texts of an agent's edit.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/terminal.h"

namespace troupe::cli {

/// Every line of `unified`, file headers bold, hunks cyan, additions green, deletions red; each behind
/// `margin`. At most `max_lines`, then one line that says how many are left out.
std::string coloured_diff(const terminal&, std::string_view unified, std::string_view margin = {},
                          std::size_t max_lines = SIZE_MAX);

/// What turned `before` (nothing: the file is new) into `after`: the lines that differ with two lines around
/// them.
std::string edit_diff(const terminal&, const std::optional<std::string>& before, std::string_view after,
                      std::string_view margin, std::size_t max_lines);

}  // namespace troupe::cli
