// What `troupe sandbox prune` and a server that starts share: the rows that know sandboxes, and how a
// leftover is told.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "drivers/sandbox/leftovers.h"

namespace troupe::cli {

/// Answers a statement about an actor's tables, as the inspector does; nothing when there is no such actor.
/// Throws when it cannot say.
using ask_rows = std::function<std::optional<nlohmann::json>(const std::string& key, const std::string& sql)>;

/// By the rows of sandboxes, of a server or of a data folder at rest.
drivers::is_known known_by(ask_rows);

/// One line: "process 4711 (/srv/troupe/…)".
std::string leftover_line(const nlohmann::json&);

}  // namespace troupe::cli
