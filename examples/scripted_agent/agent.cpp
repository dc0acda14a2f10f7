#include "examples/scripted_agent/agent.h"

#include "examples/scripted_agent/turn.h"

namespace scripted {
namespace {

constexpr int protocol_version = 1;

std::string text_of(const json& params, const char* name) {
  const auto at = params.find(name);
  if (at == params.end() || !at->is_string() || at->get_ref<const std::string&>().empty()) {
    throw refusal{fault::invalid_params, std::string("`") + name + "` must be a string and not empty"};
  }
  return at->get<std::string>();
}

std::string folder_of(const json& params) {
  auto cwd = text_of(params, "cwd");
  std::error_code ec;
  if (cwd.front() != '/' || !std::filesystem::is_directory(cwd, ec)) {
    throw refusal{fault::invalid_params,
                  "`cwd` must be the absolute path of a folder, and `" + cwd + "` is not"};
  }
  return cwd;
}

// The script: the last text of a prompt, since what stands before it tells of an earlier conversation; a link
// to a resource stands as its address.
std::string text_of_prompt(const json& params) {
  const auto blocks = params.find("prompt");
  if (blocks == params.end() || !blocks->is_array()) {
    throw refusal{fault::invalid_params, "`prompt` must be an array of content blocks"};
  }
  std::string links, text;
  for (const auto& block : *blocks) {
    const auto type = block.value("type", "");
    if (type == "text")
      text = block.value("text", "") + "\n";
    else if (type == "resource_link")
      links += "# " + block.value("uri", "") + "\n";
    else if (type == "resource")
      links += "# " + block.value("/resource/uri"_json_pointer, std::string()) + "\n";
    else
      throw refusal{fault::invalid_params, "a prompt's block of type `" + type + "` is not supported"};
  }
  text += links;
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace

void agent::handle(const std::string& method, const json& params, const json& id) {
  if (method == "session/cancel") {
    if (const auto at = sessions_.find(params.value("sessionId", "")); at != sessions_.end())
      at->second->cancel();
    return;
  }
  if (id.is_null()) return;  // a notification that we do not know is no error
  if (method == "session/prompt") return prompt(params, id);
  json result = json::object();
  std::string open;
  if (method == "initialize") {
    result = initialize(params);
  } else if (method == "authenticate") {
    // Nobody needs to sign in.
  } else if (method == "session/new") {
    result = new_session(params);
    open = result["sessionId"];
  } else if (method == "session/load" || method == "session/resume") {
    result = load_session(params, method == "session/load");
    open = text_of(params, "sessionId");
  } else if (method == "session/list") {
    result = {{"sessions", session::list(options_.home)}};
  } else if (method == "session/close") {
    find(params);
    sessions_.erase(text_of(params, "sessionId"));
  } else if (method == "session/set_mode") {
    auto& s = find(params);
    s.set_mode(text_of(params, "modeId"));
    s.update({{"sessionUpdate", "config_option_update"}, {"configOptions", s.config_options()}});
  } else if (method == "session/set_config_option") {
    result = set_option(find(params), text_of(params, "configId"), text_of(params, "value"));
  } else {
    throw refusal{fault::unknown_method, "there is no method `" + method + "`"};
  }
  client_.answer(id, std::move(result));
  if (!open.empty()) opened(*sessions_.at(open));
}

void agent::stop() {
  for (auto& [id, s] : sessions_) s->cancel();
  for (auto& [id, s] : sessions_) s->wait();
}

json agent::initialize(const json& params) const {
  const auto wanted = params.value("protocolVersion", protocol_version);
  return {{"protocolVersion", std::min(wanted, protocol_version)},
          {"agentInfo", {{"name", "scripted-agent"}, {"title", "Scripted agent"}, {"version", "0.1.0"}}},
          {"agentCapabilities",
           {{"loadSession", true},
            {"promptCapabilities", {{"embeddedContext", true}}},
            {"sessionCapabilities",
             {{"list", json::object()}, {"resume", json::object()}, {"close", json::object()}}}}},
          {"authMethods", json::array()}};
}

void agent::make_room() const {
  if (sessions_.size() >= max_sessions) {
    throw refusal{fault::invalid_request,
                  std::to_string(max_sessions) + " sessions are open; close one first"};
  }
}

json agent::new_session(const json& params) {
  make_room();
  auto s = session::create(options_.home, client_, folder_of(params));
  s->set_mode(options_.mode);
  json result = {{"sessionId", s->id()}, {"modes", s->modes()}, {"configOptions", s->config_options()}};
  sessions_[s->id()] = std::move(s);
  return result;
}

json agent::load_session(const json& params, bool replay) {
  const auto id = text_of(params, "sessionId");
  const auto cwd = folder_of(params);
  auto at = sessions_.find(id);
  if (at == sessions_.end()) {
    make_room();
    at = sessions_.emplace(id, session::load(options_.home, client_, id)).first;
  }
  auto& s = *at->second;
  s.set_cwd(cwd);
  if (replay) s.replay();
  return {{"modes", s.modes()}, {"configOptions", s.config_options()}};
}

json agent::set_option(session& s, const std::string& option, const std::string& value) {
  if (option == "mode")
    s.set_mode(value);
  else if (option == "model")
    s.set_model(value);
  else
    throw refusal{fault::invalid_params, "there is no option `" + option + "`; there are mode and model"};
  auto options = s.config_options();
  s.update({{"sessionUpdate", "config_option_update"}, {"configOptions", options}});
  return {{"configOptions", std::move(options)}};
}

void agent::prompt(const json& params, const json& id) {
  auto& s = find(params);
  const auto text = text_of_prompt(params);
  const bool begun = s.begin_turn([this, &s, text, id](std::stop_token stop) -> session::answer {
    s.remember(update_of_chunk("user_message_chunk", text));
    try {
      turn t(s, client_, std::move(stop), options_.pace);
      return [this, id, result = t.perform(text)] { client_.answer(id, result); };
    } catch (const refusal& why) {
      return [this, id, why] { client_.refuse(id, why); };
    } catch (const std::exception& e) {
      return [this, id, why = std::string(e.what())] { client_.refuse(id, {fault::internal, why}); };
    }
  });
  if (!begun) {
    throw refusal{fault::invalid_request,
                  "the session is in the middle of a prompt; wait for its end or cancel it"};
  }
}

void agent::opened(session& s) {
  const auto command = [](const char* name, const char* what, const char* hint) {
    return json{{"name", name}, {"description", what}, {"input", {{"hint", hint}}}};
  };
  s.update({{"sessionUpdate", "available_commands_update"},
            {"availableCommands", json::array({command("run", "Run a shell command", "COMMAND"),
                                               command("say", "Say a text", "TEXT")})}});
}

session& agent::find(const json& params) {
  const auto id = text_of(params, "sessionId");
  const auto at = sessions_.find(id);
  if (at == sessions_.end())
    throw refusal{fault::not_found, "there is no open session `" + id + "`", {{"sessionId", id}}};
  return *at->second;
}

}  // namespace scripted
