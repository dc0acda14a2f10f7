// The Agent Client Protocol as this server speaks it, as pure functions: messages out, answers in.
//
// Everything that another version of the protocol would change is in this file and its source: method names,
// the shapes of parameters and results, what agents of today do instead of what is written.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::drivers::acp {

using json = nlohmann::json;

inline constexpr int protocol_version = 1;

// JSON-RPC error codes that mean something to us.
inline constexpr int unknown_method = -32601;
inline constexpr int auth_required = -32000;

json request(const json& id, std::string_view method, json params);
json notification(std::string_view method, json params);

json initialize(const json& id);
json authenticate(const json& id, const std::string& method);
json new_session(const json& id, const std::string& cwd, const json& mcp_servers);
json load_session(const json& id, const std::string& agent_session, const std::string& cwd,
                  const json& mcp_servers);
json resume_session(const json& id, const std::string& agent_session, const std::string& cwd,
                    const json& mcp_servers);
json prompt(const json& id, const std::string& agent_session, const json& blocks);
json cancel(const std::string& agent_session);
json set_mode(const json& id, const std::string& agent_session, const std::string& mode);
json set_model(const json& id, const std::string& agent_session, const std::string& model);
json set_option(const json& id, const std::string& agent_session, const std::string& option,
                const std::string& value);
// The answer to a permission request; no option: cancelled.
json permission_answer(const json& agents_id, const std::optional<std::string>& option);

struct rpc_error {
  int code = 0;
  std::string words;  // message, and what `data` says beyond it
};

// The result of an answer line, or its error.
std::variant<json, rpc_error> result_of(const json& line);

/// What an agent wrote last to stderr, as the daemon's status tells it: at most 4 KiB.
std::string end_of_stderr(const json& status);

struct abilities {
  bool load = false;
  bool resume = false;
  json all = json::object();         // agentCapabilities as they came
  json agent_info;                   // null when the agent did not say
  std::vector<std::string> sign_in;  // ids of its sign-in methods
};

// What initialize answered, or why it cannot be used.
std::variant<abilities, std::string> read_initialize(const json& result);

// The sign-in methods that take a key from the environment, among those that the agent offers.
std::vector<std::string> key_methods(const abilities&);

// A result of agent.start: modes, models and configOptions where the agent has them.
json opened_session(const abilities&, const std::string& agent_session, const char* how, const json& result);

}  // namespace troupe::drivers::acp
