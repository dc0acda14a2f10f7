// Starts an agent in a throw-away sandbox, as a task would, and takes what it says of itself.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace troupe::cli {

struct start_check {
  std::string tier;     ///< of the sandbox
  std::string error;    ///< why it cannot work; empty: a session was opened
  nlohmann::json said;  ///< the result of agent.start in docs/effects.md; null when it did not come so far
  std::int64_t ms = 0;  ///< from its start to the open session
};

/// `environment`: {NAME: text}, for its process. Throws failure when no sandbox can be made.
start_check try_start(const std::string& agent, const nlohmann::json& environment,
                      const std::filesystem::path& tools);

}  // namespace troupe::cli
