#include <algorithm>
#include <optional>

#include "agents/registry.h"
#include "drivers/acp/driver.h"
#include "drivers/acp/protocol.h"
#include "drivers/daemon/perform.h"
#include "net/wire/signal.h"

namespace troupe::drivers::acp {
namespace {

using wire::asio::awaitable;
using run_ptr = std::shared_ptr<effect_run>;

struct context {
  wire::executor ex;
  daemon_client& daemons;
  read_secret secrets;
  options limits;
};

using context_ptr = std::shared_ptr<const context>;

constexpr int looks_for_end = 10;
constexpr auto end_look_pause = std::chrono::milliseconds(50);

// What one effect needs again and again: where its agent is.
struct call_site {
  context_ptr world;
  run_ptr run;
  std::string handle;
  std::string connection;
  std::string agent;  // set while the first call to a daemon without PUT has to name it

  call_site(context_ptr w, run_ptr r)
      : world(std::move(w)),
        run(std::move(r)),
        handle(text_field(run->body(), "handle")),
        connection(text_field(run->body(), "connection")) {}
};

std::string target_of(const std::string& connection) {
  return "/v1/acp/" + wire::percent_encode(connection);
}

// A message that could not be written tells nothing of the agent: its status does, when it has ended.
awaitable<failed> explain(const call_site& site, std::string about, failed why) {
  if (why.why.code != "invalid" && why.why.code != "transport") co_return why;
  // A pipe breaks before the daemon has seen the process end.
  json status;
  for (int look = 0; look < looks_for_end && (look == 0 || status.value("running", false)); ++look) {
    if (look > 0) co_await wire::sleep_for(end_look_pause);
    wire::request get;
    get.target = target_of(site.connection) + "/status";
    auto answer = co_await site.world->daemons.send(site.handle, about, std::move(get), site.run->deadline());
    if (!answer) co_return why;
    status = json::parse(answer->bytes(), nullptr, false);
    if (!status.is_object()) co_return why;
  }
  if (status.value("running", true)) co_return why;
  auto words = about + ": the agent's process has ended";
  if (status.contains("exitCode")) words += " with exit code " + status["exitCode"].dump();
  const auto said = end_of_stderr(status);
  if (!said.empty()) words += "; the end of what it wrote to stderr:\n" + said;
  co_return agent_failed(std::move(words));
}

// Sends one JSON-RPC message. An empty object for what has no answer.
awaitable<attempt<json>> post(const call_site& site, std::string about, json message, std::string step,
                              wire::time_point deadline) {
  wire::request out;
  out.method = "POST";
  out.target = target_of(site.connection);
  if (!site.agent.empty()) out.target += "?agent=" + wire::percent_encode(site.agent);
  out.headers.set("Content-Type", "application/json");
  out.headers.set("Idempotency-Key", step.empty() ? site.run->id() : site.run->id() + ":" + step);
  out.body = message.dump(-1, ' ', false, json::error_handler_t::replace);
  auto answer = co_await site.world->daemons.send(site.handle, about, std::move(out), deadline);
  if (!answer) co_return co_await explain(site, about, answer.error());
  if (answer->status == 202 || answer->bytes().empty()) co_return json::object();
  auto line = json::parse(answer->bytes(), nullptr, false);
  if (!line.is_object())
    co_return transport(about + ": the sandbox's daemon answered something that is not JSON");
  co_return line;
}

failed agent_said(const std::string& about, const rpc_error& why) {
  return agent_error(about + ": the agent answered: " + why.words + " (" + std::to_string(why.code) + ")");
}

// A request whose JSON-RPC error is a problem.
awaitable<attempt<json>> ask(const call_site& site, std::string about, json message, std::string step,
                             wire::time_point deadline) {
  auto line = co_await post(site, about, std::move(message), std::move(step), deadline);
  if (!line) co_return line.error();
  auto result = result_of(*line);
  if (const auto* why = std::get_if<rpc_error>(&result)) co_return agent_said(about, *why);
  co_return std::get<json>(std::move(result));
}

// Keys that nobody has to name: a secret of the organization that has the name of one of the agent's
// variables is that variable, in the agent's process alone.
void add_keys(const context& world, const effect_run& run, json& environment) {
  const auto* agent = agents::find(text_field(run.body(), "agent"));
  if (agent == nullptr || !world.secrets) return;
  for (const auto& name : agent->credentials) {
    if (environment.contains(name)) continue;
    if (auto text = world.secrets(run.actor().id_of("org"), name)) environment[name] = std::move(*text);
  }
}

// {NAME: text or {"secret": name}} as plain texts. A secret that is not there fails by its name.
attempt<json> plain_environment(const context& world, const effect_run& run) {
  json plain = json::object();
  const auto given = run.body().find("environment");
  if (given != run.body().end() && given->is_object())
    for (const auto& [name, value] : given->items()) {
      if (value.is_string()) {
        plain[name] = value;
        continue;
      }
      const auto secret = text_field(value, "secret");
      const auto text = world.secrets ? world.secrets(run.actor().id_of("org"), secret) : std::nullopt;
      if (!text) {
        return invalid("starting the agent: its environment variable " + name + " is to be the secret `" +
                       secret +
                       "`, and the organization has none of that name; store it with PUT /v1/secrets");
      }
      plain[name] = *text;
    }
  add_keys(world, run, plain);
  return plain;
}

// {NAME: text or {"secret": name}} as the protocol's list of {name, value}.
attempt<json> plain_values(const context& world, const effect_run& run, const json& given,
                           const std::string& server) {
  json list = json::array();
  for (const auto& [name, value] : given.items()) {
    auto text = value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
    if (!text) {
      const auto secret = text_field(value, "secret");
      text = world.secrets ? world.secrets(run.actor().id_of("org"), secret) : std::nullopt;
      if (!text)
        return invalid("starting the agent: `" + name + "` of the MCP server " + server +
                       " is to be the secret `" + secret +
                       "`, and the organization has none of that name; store it with `troupe secret set`");
    }
    list.push_back({{"name", name}, {"value", *text}});
  }
  return list;
}

// As the protocol has them. Secrets stand in the request to this agent and nowhere else.
attempt<json> mcp_servers(const context& world, const effect_run& run, const json& capabilities) {
  const auto given = run.body().find("mcp_servers");
  json list = json::array();
  if (given == run.body().end()) return list;
  const auto takes = capabilities.value("mcpCapabilities", json::object());
  for (const auto& one : *given) {
    const auto name = text_field(one, "name");
    const bool local = one.contains("command");
    const auto values = one.value(local ? "environment" : "headers", json::object());
    auto plain = plain_values(world, run, values, name);
    if (!plain) return plain.error();
    if (local) {
      list.push_back({{"name", name},
                      {"command", text_field(one, "command")},
                      {"args", one.value("args", json::array())},
                      {"env", std::move(*plain)}});
      continue;
    }
    const auto type = text_field(one, "type");
    if (!takes.is_object() || !takes.value(type, false))
      return failed{{422, "unsupported",
                     "starting agent `" + text_field(run.body(), "agent") +
                         "`: it takes no MCP servers over " + type + ", and " + name +
                         " is one; give it one that is a command, or choose another agent"}};
    list.push_back(
        {{"name", name}, {"type", type}, {"url", text_field(one, "url")}, {"headers", std::move(*plain)}});
  }
  return list;
}

// Starts the process, or finds it running. A published daemon, which knows no PUT, starts it at the first
// message and gives it no environment of its own.
awaitable<attempt<json>> launch(call_site& site, const std::string& about, const std::string& agent,
                                const std::string& cwd) {
  auto environment = plain_environment(*site.world, *site.run);
  if (!environment) co_return environment.error();
  wire::request put;
  put.method = "PUT";
  put.target = target_of(site.connection);
  put.headers.set("Content-Type", "application/json");
  const json body = {{"agent", agent}, {"env", *environment}, {"cwd", cwd}, {"acknowledge", true}};
  put.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  auto answer = co_await site.world->daemons.send(site.handle, about, std::move(put), site.run->deadline());
  if (answer) co_return json::object();
  if (answer.error().why.code != "unsupported") co_return answer.error();
  if (!environment->empty()) {
    auto why = answer.error();
    why.why.detail += ": it cannot give an agent an environment of its own; set it where the sandbox is made";
    co_return why;
  }
  site.agent = agent;
  co_return json::object();
}

std::string key_hint(const std::string& agent) {
  const auto* known = agents::find(agent);
  if (known == nullptr || known->credentials.empty())
    return "; give it a key: store a secret and name it in the repository's environment";
  std::string names;
  for (const auto& name : known->credentials) names += (names.empty() ? "" : " or ") + name;
  return "; give it a key: `troupe secret set " + known->credentials.front() +
         "` stores one under the name of its variable (" + names + ")";
}

awaitable<attempt<json>> start(context_ptr world, run_ptr run) {
  call_site site(world, run);
  const auto& body = run->body();
  const auto agent = text_field(body, "agent");
  const auto about = "starting agent `" + agent + "`";
  const auto id = text_field(body, "request_id");
  const auto cwd = world->daemons.where(site.handle, text_field(body, "cwd"));
  auto launched = co_await launch(site, about, agent, cwd);
  if (!launched) co_return launched.error();
  const auto patience = std::min(run->deadline(), wire::clock::now() + world->limits.initialize_limit);
  auto hello = co_await ask(site, about, initialize(id + "-initialize"), "initialize", patience);
  site.agent.clear();
  if (!hello) {
    auto why = hello.error();
    if (why.why.code == "timeout") {
      why.why.detail = about +
                       ": it did not answer initialize in time; what it printed instead stands in the " +
                       "session's transcript. Check that its command speaks the Agent Client Protocol.";
    }
    co_return why;
  }
  auto read = read_initialize(*hello);
  if (const auto* why = std::get_if<std::string>(&read)) co_return agent_failed(about + ": " + *why);
  const auto can = std::get<abilities>(std::move(read));
  const auto given = mcp_servers(*world, *run, can.all);
  if (!given) co_return given.error();
  const auto& servers = *given;

  // Resuming replays nothing; loading replays the conversation into the feed, before the answer with `id`.
  if (const auto old = body.find("agent_session");
      old != body.end() && old->is_string() && (can.resume || can.load)) {
    const auto session = old->get<std::string>();
    const char* how = can.resume ? "resume" : "load";
    auto message = can.resume ? resume_session(id + "-resume", session, cwd, servers)
                              : load_session(id + "-load", session, cwd, servers);
    auto loaded = co_await ask(site, about + " and its session", std::move(message), how, run->deadline());
    if (loaded) co_return opened_session(can, session, how, *loaded);
    // An agent whose home is gone does not know the session: it begins anew, and the actor tells it the
    // story.
    if (loaded.error().why.code != "agent_error") co_return loaded.error();
  }

  auto line = co_await post(site, about, new_session(id, cwd, servers), "new", run->deadline());
  if (!line) co_return line.error();
  auto result = result_of(*line);
  if (const auto* why = std::get_if<rpc_error>(&result); why != nullptr && why->code == auth_required) {
    for (const auto& method : key_methods(can)) {
      auto signed_in =
          co_await ask(site, about, authenticate(id + "-" + method, method), method, run->deadline());
      if (!signed_in) continue;
      line = co_await post(site, about, new_session(id + "-again", cwd, servers), "new-" + method,
                           run->deadline());
      if (!line) co_return line.error();
      result = result_of(*line);
      if (std::holds_alternative<json>(result)) break;
    }
  }
  if (const auto* why = std::get_if<rpc_error>(&result)) {
    auto problem = agent_said(about, *why);
    if (why->code == auth_required) {
      problem.why.detail += key_hint(agent);
    }
    co_return problem;
  }
  const auto& opened = std::get<json>(result);
  const auto session = opened.find("sessionId");
  if (session == opened.end() || !session->is_string()) {
    co_return agent_failed(about + ": its answer to session/new names no session");
  }
  co_return opened_session(can, session->get<std::string>(), "new", opened);
}

awaitable<attempt<json>> send_prompt(context_ptr world, run_ptr run) {
  const call_site site(world, run);
  const auto& body = run->body();
  auto message = prompt(field(body, "request_id"), text_field(body, "agent_session"), field(body, "prompt"));
  auto result = co_await ask(site, "prompting the agent", std::move(message), "", run->deadline());
  if (!result) {
    auto why = result.error();
    if (why.why.code == "timeout") {
      why.why.detail =
          "prompting the agent: it did not finish by the session's deadline; cancel it, or prompt again "
          "with more time";
    }
    co_return why;
  }
  const auto reason = result->find("stopReason");
  json out = {{"stop_reason", reason != result->end() && reason->is_string() ? *reason : json("end_turn")}};
  if (const auto usage = result->find("usage"); usage != result->end() && usage->is_object())
    out["usage"] = *usage;
  co_return out;
}

awaitable<attempt<json>> send_cancel(context_ptr world, run_ptr run) {
  const call_site site(world, run);
  auto message = cancel(text_field(run->body(), "agent_session"));
  auto sent = co_await post(site, "cancelling the agent's turn", std::move(message), "", run->deadline());
  if (!sent) co_return sent.error();
  co_return json::object();
}

awaitable<attempt<json>> answer_permission(context_ptr world, run_ptr run) {
  const call_site site(world, run);
  const auto& option = field(run->body(), "option");
  std::optional<std::string> chosen;
  if (!option.is_null()) chosen = text_field(run->body(), "option");
  auto message = permission_answer(field(run->body(), "request_id"), chosen);
  auto sent = co_await post(site, "answering the agent's request", std::move(message), "", run->deadline());
  if (!sent) co_return sent.error();
  co_return json::object();
}

json options_of(const json& result) {
  json out = json::object();
  if (const auto at = result.find("configOptions"); at != result.end() && at->is_array())
    out["config_options"] = *at;
  return out;
}

// The method of today, and the general option for agents that have only that.
awaitable<attempt<json>> set(const call_site& site, std::string about, std::optional<json> first,
                             json otherwise) {
  if (first) {
    auto line = co_await post(site, about, std::move(*first), "", site.run->deadline());
    if (!line) co_return line.error();
    auto result = result_of(*line);
    if (const auto* done = std::get_if<json>(&result)) co_return options_of(*done);
    const auto& why = std::get<rpc_error>(result);
    if (why.code != unknown_method) co_return agent_said(about, why);
  }
  auto result = co_await ask(site, about, std::move(otherwise), "option", site.run->deadline());
  if (!result) co_return result.error();
  co_return options_of(*result);
}

awaitable<attempt<json>> change_mode(context_ptr world, run_ptr run) {
  const call_site site(world, run);
  const auto& body = run->body();
  const auto id = text_field(body, "request_id");
  const auto session = text_field(body, "agent_session");
  const auto mode = text_field(body, "mode");
  std::optional<json> first = set_mode(id, session, mode);
  co_return co_await set(site, "setting the agent's mode to `" + mode + "`", std::move(first),
                         set_option(id + "-option", session, "mode", mode));
}

awaitable<attempt<json>> change_model(context_ptr world, run_ptr run) {
  const call_site site(world, run);
  const auto& body = run->body();
  const auto id = text_field(body, "request_id");
  const auto session = text_field(body, "agent_session");
  const auto model = text_field(body, "model");
  std::optional<json> first;
  std::string option = "model";
  if (const auto config = body.find("config"); config != body.end() && config->is_string())
    option = *config;
  else
    first = set_model(id, session, model);
  co_return co_await set(site, "setting the agent's model to `" + model + "`", std::move(first),
                         set_option(id + "-option", session, option, model));
}

awaitable<attempt<json>> stop(context_ptr world, run_ptr run) {
  const call_site site(world, run);
  wire::request out;
  out.method = "DELETE";
  out.target = target_of(site.connection);
  auto gone =
      co_await world->daemons.send(site.handle, "stopping the agent", std::move(out), run->deadline());
  // A sandbox that is gone took its agents along.
  if (!gone && gone.error().why.code != "not_found") co_return gone.error();
  co_return json::object();
}

}  // namespace

std::vector<effect_kind> effects(wire::executor ex, daemon_client& daemons, read_secret secrets,
                                 options limits) {
  const context_ptr world = std::make_shared<const context>(context{ex, daemons, std::move(secrets), limits});
  using work = awaitable<attempt<json>> (*)(context_ptr, run_ptr);
  const auto kind = [&](const char* name, after_restart policy, std::chrono::milliseconds deadline,
                        work how) {
    effect_kind k;
    k.name = name;
    k.policy = policy;
    k.deadline = deadline;
    k.start = [world, how](std::shared_ptr<effect_run> run) { perform(world->ex, run, how(world, run)); };
    return k;
  };
  return {
      kind("agent.start", after_restart::reconcile, limits.start_limit, start),
      kind("agent.prompt", after_restart::reconcile, limits.prompt_limit, send_prompt),
      kind("agent.cancel", after_restart::retry, limits.call_limit, send_cancel),
      kind("agent.answer", after_restart::retry, limits.call_limit, answer_permission),
      kind("agent.set_mode", after_restart::retry, limits.call_limit, change_mode),
      kind("agent.set_model", after_restart::retry, limits.call_limit, change_model),
      kind("agent.stop", after_restart::retry, limits.call_limit, stop),
  };
}

}  // namespace troupe::drivers::acp
