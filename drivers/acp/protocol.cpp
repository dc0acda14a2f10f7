#include "drivers/acp/protocol.h"

namespace troupe::drivers::acp {
namespace {

constexpr std::size_t max_stderr_tail = 4096;

json session_params(const std::string& agent_session) {
  return {{"sessionId", agent_session}};
}

json place_params(const std::string& agent_session, const std::string& cwd, const json& mcp_servers) {
  auto params = session_params(agent_session);
  params["cwd"] = cwd;
  params["mcpServers"] = mcp_servers;
  return params;
}

}  // namespace

std::string end_of_stderr(const json& status) {
  const auto it = status.is_object() ? status.find("stderr") : status.end();
  if (it == status.end() || !it->is_string()) return {};
  const auto& all = it->get_ref<const std::string&>();
  if (all.size() <= max_stderr_tail) return all;
  return "…" + all.substr(all.size() - max_stderr_tail);
}

json request(const json& id, std::string_view method, json params) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}};
}

json notification(std::string_view method, json params) {
  return {{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}};
}

json initialize(const json& id) {
  // No file system and no terminal of ours is offered: the agent lives in the sandbox and uses the sandbox's.
  return request(id, "initialize",
                 {{"protocolVersion", protocol_version},
                  {"clientCapabilities",
                   {{"fs", {{"readTextFile", false}, {"writeTextFile", false}}}, {"terminal", false}}},
                  {"clientInfo", {{"name", "troupe"}, {"title", "Troupe"}, {"version", "0.1.0"}}}});
}

json authenticate(const json& id, const std::string& method) {
  return request(id, "authenticate", {{"methodId", method}});
}

json new_session(const json& id, const std::string& cwd, const json& mcp_servers) {
  return request(id, "session/new", {{"cwd", cwd}, {"mcpServers", mcp_servers}});
}

json load_session(const json& id, const std::string& agent_session, const std::string& cwd,
                  const json& mcp_servers) {
  return request(id, "session/load", place_params(agent_session, cwd, mcp_servers));
}

json resume_session(const json& id, const std::string& agent_session, const std::string& cwd,
                    const json& mcp_servers) {
  return request(id, "session/resume", place_params(agent_session, cwd, mcp_servers));
}

json prompt(const json& id, const std::string& agent_session, const json& blocks) {
  auto params = session_params(agent_session);
  params["prompt"] = blocks;
  return request(id, "session/prompt", std::move(params));
}

json cancel(const std::string& agent_session) {
  return notification("session/cancel", session_params(agent_session));
}

json set_mode(const json& id, const std::string& agent_session, const std::string& mode) {
  auto params = session_params(agent_session);
  params["modeId"] = mode;
  return request(id, "session/set_mode", std::move(params));
}

json set_model(const json& id, const std::string& agent_session, const std::string& model) {
  auto params = session_params(agent_session);
  params["modelId"] = model;
  return request(id, "session/set_model", std::move(params));
}

json set_option(const json& id, const std::string& agent_session, const std::string& option,
                const std::string& value) {
  auto params = session_params(agent_session);
  params["configId"] = option;
  params["value"] = value;
  return request(id, "session/set_config_option", std::move(params));
}

json permission_answer(const json& agents_id, const std::optional<std::string>& option) {
  json outcome = {{"outcome", "cancelled"}};
  if (option) outcome = {{"outcome", "selected"}, {"optionId", *option}};
  return {{"jsonrpc", "2.0"}, {"id", agents_id}, {"result", {{"outcome", std::move(outcome)}}}};
}

std::variant<json, rpc_error> result_of(const json& line) {
  if (const auto error = line.find("error"); error != line.end() && error->is_object()) {
    rpc_error out;
    if (error->contains("code") && (*error)["code"].is_number_integer())
      out.code = (*error)["code"].get<int>();
    out.words = error->contains("message") && (*error)["message"].is_string()
                    ? (*error)["message"].get<std::string>()
                    : "no reason given";
    // Agents put the useful half in different places: data.message, data.details, data itself.
    if (const auto data = error->find("data"); data != error->end()) {
      for (const char* name : {"message", "details"}) {
        if (!data->is_object() || !data->contains(name) || !(*data)[name].is_string()) continue;
        const auto more = (*data)[name].get<std::string>();
        if (out.words.find(more) == std::string::npos) out.words += ": " + more;
      }
      if (data->is_string()) out.words += ": " + data->get<std::string>();
    }
    return out;
  }
  const auto result = line.find("result");
  if (result == line.end()) return rpc_error{0, "the agent answered without a result"};
  return result->is_object() ? *result : json::object();
}

std::variant<abilities, std::string> read_initialize(const json& result) {
  abilities can;
  const auto version = result.find("protocolVersion");
  if (version == result.end() || !version->is_number_integer() || version->get<int>() != protocol_version) {
    return "it speaks version " + (version == result.end() ? std::string("none") : version->dump()) +
           " of the Agent Client Protocol, and this server speaks version " +
           std::to_string(protocol_version);
  }
  if (const auto all = result.find("agentCapabilities"); all != result.end() && all->is_object())
    can.all = *all;
  if (const auto load = can.all.find("loadSession"); load != can.all.end())
    can.load = load->is_boolean() && *load;
  if (const auto more = can.all.find("sessionCapabilities"); more != can.all.end() && more->is_object()) {
    const auto resume = more->find("resume");
    can.resume = resume != more->end() && !resume->is_null() && *resume != false;
  }
  if (const auto info = result.find("agentInfo"); info != result.end() && info->is_object())
    can.agent_info = *info;
  if (const auto methods = result.find("authMethods"); methods != result.end() && methods->is_array()) {
    for (const auto& method : *methods) {
      if (method.is_object() && method.contains("id") && method["id"].is_string())
        can.sign_in.push_back(method["id"]);
    }
  }
  return can;
}

std::vector<std::string> key_methods(const abilities& can) {
  std::vector<std::string> found;
  for (const auto* known : {"codex-api-key", "openai-api-key", "anthropic-api-key"}) {
    for (const auto& offered : can.sign_in) {
      if (offered == known) found.push_back(offered);
    }
  }
  return found;
}

json opened_session(const abilities& can, const std::string& agent_session, const char* how,
                    const json& result) {
  json out = {{"agent_session", agent_session}, {"loaded", how}, {"capabilities", can.all}};
  if (!can.agent_info.is_null()) out["agent_info"] = can.agent_info;
  const auto copy = [&](const char* from, const char* to) {
    if (const auto at = result.find(from); at != result.end() && !at->is_null()) out[to] = *at;
  };
  copy("modes", "modes");
  copy("models", "models");
  copy("configOptions", "config_options");
  return out;
}

}  // namespace troupe::drivers::acp
