// What work used and may use: `troupe org usage`, `troupe org budget`, `troupe task budget`.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "cli/terminal.h"

namespace CLI {
class App;
}

namespace troupe::cli {

struct context;

void add_org_budget(CLI::App& org, context&);
void add_task_budget(CLI::App& task, context&);

/// Of a task's snapshot: what it used, its budget. Nothing where there is neither.
void show_usage(terminal& to, const nlohmann::json& snapshot);

}  // namespace troupe::cli
