// What a task does with git: commit, push, bring up to date, look again.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/terminal.h"

namespace CLI {
class App;
}

namespace troupe::cli {

struct context;

/// The subcommands below `troupe task`.
void add_task_git(CLI::App& task, context&);

/// Of a task's snapshot: what is pushed, and a merge that waits with its conflicts.
void show_git(terminal& to, const nlohmann::json& snapshot);

}  // namespace troupe::cli
