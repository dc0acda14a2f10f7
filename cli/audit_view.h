// One entry of an audit log as a line.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace troupe::cli {

/// "14:03:07  ada       task.created            widgets fix-login  title=…"; `place`: with repository and
/// branch.
std::string audit_line(const terminal&, const nlohmann::json& entry, bool place = true);

}  // namespace troupe::cli
