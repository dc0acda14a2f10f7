// What may stand in the configuration of MCP servers and of skills. Pure functions.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace troupe::sandboxd {

// The value as it is kept, with the contract's fields alone; or, when it is none, why. Fields that are null
// count as absent.
struct checked_config {
  nlohmann::json value;
  std::string fault;
};

// {type: local, command, …} or {type: remote, url, …}; `stdio` and `http` are other names of the two.
checked_config check_mcp_server(const nlohmann::json& given);

// {sources: [{type, source, …}]}
checked_config check_skills(const nlohmann::json& given);

}  // namespace troupe::sandboxd
