// GET /v1/health, /v1/agents, /v1/agents/{agent}; POST /v1/agents/{agent}/install.
#include "sandboxd/contract.h"
#include "sandboxd/daemon.h"
#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace {

namespace asio = wire::asio;
using nlohmann::json;

asio::awaitable<json> info(daemon_ptr d, const agent& which, bool config) {
  json out;
  auto line = co_await d->agents.command(which);
  out["id"] = which.id;
  out["installed"] = which.built_in ? d->agents.built_in_installed() : line.ok();
  out["credentialsAvailable"] = d->agents.has_credentials(which);
  auto& capabilities = out["capabilities"];
  for (auto& name : capability_names()) capabilities[name] = false;
  for (auto& name : which.capabilities) capabilities[name] = true;
  std::int64_t since = 0;
  for (auto& [id, c] : d->connections)
    if (c->running() && c->who().agent == which.id && (!since || c->started_ms() < since))
      since = c->started_ms();
  if (since) {
    out["serverStatus"]["status"] = "running";
    out["serverStatus"]["uptimeMs"] = now_ms() - since;
  }
  if (config) {
    if (!which.version().empty()) out["version"] = which.version();
    if (line) out["path"] = line.value().front();
    out["configOptions"] = json::parse(which.config_options, nullptr, false);
  }
  co_return out;
}

asio::awaitable<void> list_agents(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  bool config = q.flag("config");
  q.flag("no_cache");
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  json out;
  out["agents"] = json::array();
  for (auto& a : d->agents.all()) {
    auto one = co_await info(d, a, config);
    out["agents"].push_back(std::move(one));
  }
  co_await d->out.reply(x, json_response(out));
}

asio::awaitable<void> get(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  bool config = q.flag("config");
  q.flag("no_cache");
  auto* which = d->agents.find(x.param("agent"));
  if (!q.refusal && !which) q.refusal = contract::unsupported_agent(x.param("agent"));
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  auto out = co_await info(d, *which, config);
  co_await d->out.reply(x, json_response(out));
}

// A version or tag of npm: nothing that could be taken for another source of the package.
bool usable_version(const std::string& v) {
  return v.size() <= 64 &&
         v.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+_") ==
             std::string::npos;
}

asio::awaitable<answer> install(daemon_ptr d, const agent& which, bool again, std::string version) {
  answer out;
  json said;
  said["already_installed"] = true;
  said["artifacts"] = json::array();
  auto add = [&](const installed_artifact& a) {
    json one;
    one["kind"] = a.kind;
    one["path"] = a.path;
    one["source"] = a.source;
    if (!a.version.empty()) one["version"] = a.version;
    said["already_installed"] = false;
    said["artifacts"].push_back(std::move(one));
  };
  if (which.built_in) {
    if (!d->agents.built_in_installed() || again) {
      installed_artifact itself{"agent_process", "sandboxd", "builtin", ""};
      add(itself);
    }
    d->agents.set_built_in_installed();
  } else {
    auto line = co_await d->agents.command(which);
    if (!line || again) {
      auto done = co_await d->agents.install(which, version);
      if (!done.ok) {
        out.response = contract::install_failed(which.id, valid_utf8(done.failure));
        co_return out;
      }
      add(done.artifact);
    }
  }
  out.response = json_response(said);
  co_return out;
}

asio::awaitable<void> post_install(daemon_ptr d, wire::exchange& x) {
  body_reader body(x.request());
  bool again = body.flag("reinstall");
  body.optional_text("agentVersion");
  auto version = body.optional_text("agentProcessVersion").value_or("");
  auto* which = d->agents.find(x.param("agent"));
  if (!body.refusal && !which) body.refusal = contract::unsupported_agent(x.param("agent"));
  if (!body.refusal && !usable_version(version))
    body.refusal = contract::invalid_request("agentProcessVersion is not a version: " + version);
  if (body.refusal) {
    co_await d->out.reply(x, *body.refusal);
    co_return;
  }
  work what = [d, which, again, version] { return install(d, *which, again, version); };
  co_await do_once(d->out, x, d->keys, std::move(what));
}

}  // namespace

void add_agent_routes(wire::router& to, daemon_ptr d) {
  to.on("GET", "/v1/health", [d](wire::exchange& x) -> asio::awaitable<void> {
    std::string well = R"({"status":"ok"})";
    auto said = wire::response::json(200, std::move(well));
    co_await d->out.reply(x, std::move(said));
  });
  to.on("GET", "/v1/agents", [d](wire::exchange& x) { return list_agents(d, x); });
  to.on("GET", "/v1/agents/{agent}", [d](wire::exchange& x) { return get(d, x); });
  to.on("POST", "/v1/agents/{agent}/install", [d](wire::exchange& x) { return post_install(d, x); });
}

}  // namespace troupe::sandboxd
