// /v1/acp: agents over HTTP, and what is ours in it (PUT, status, ack).
#include <charconv>

#include "net/wire/sse.h"
#include "sandboxd/contract.h"
#include "sandboxd/daemon.h"
#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace {

namespace asio = wire::asio;
using nlohmann::json;

constexpr auto heartbeat_every = std::chrono::seconds(15);

// Events are sent together up to this: few writes for a replay, prompt ones for a live stream.
constexpr std::size_t batch_bytes = 64 * 1024;

constexpr int rpc_internal_error = -32603;

// The environment of an agent that the first POST starts: a JSON object, percent-encoded. Secrets are no part
// of a URL.
constexpr const char* environment_field = "troupe-environment";

struct begun {
  std::shared_ptr<connection> made;
  std::optional<wire::response> refusal;
  bool fresh = false;  // by this call
};

// Finds the program, installing the agent if need be.
asio::awaitable<std::optional<wire::response>> find_program(daemon_ptr d, const agent& which,
                                                            agent_start& how) {
  std::optional<wire::response> refusal;
  for (auto& variable : which.environment) how.environment.insert(how.environment.begin(), variable);
  if (which.built_in) {
    d->agents.set_built_in_installed();
    co_return refusal;
  }
  auto line = co_await d->agents.command(which);
  if (!line && !which.packages.empty()) {
    auto installed = co_await d->agents.install(which, "");
    if (!installed.ok) {
      refusal = contract::install_failed(which.id, valid_utf8(installed.failure));
      co_return refusal;
    }
    line = co_await d->agents.command(which);
  }
  if (!line)
    refusal = contract::agent_not_installed(which.id);
  else
    how.argv = line.value();
  co_return refusal;
}

// Runs to its end even when the request that asked for it is gone.
asio::awaitable<void> start(daemon_ptr d, std::shared_ptr<connection> c, const agent& which, agent_start how,
                            std::shared_ptr<begun> result, wire::signal settled) {
  auto refusal = co_await find_program(d, which, how);
  if (!refusal) {
    auto started = co_await c->start(std::move(how));
    if (!started)
      refusal = contract::stream_error("failed to spawn agent process: " + started.error().text + ": " +
                                       contract::os_text(started.error().number));
  } else {
    c->give_up();
  }
  if (refusal) {
    auto found = d->connections.find(c->who().id);
    if (found != d->connections.end() && found->second == c) d->connections.erase(found);
    c->remove_files();
  }
  result->refusal = std::move(refusal);
  settled.raise();
}

// The connection of that name, started if there is none. `fault`: why the caller has nothing to send to it;
// said last, and then nothing is started.
asio::awaitable<begun> find_or_start(daemon_ptr d, std::string id, std::optional<std::string> agent_name,
                                     agent_start how, std::string fault) {
  begun out;
  const agent* which = agent_name ? d->agents.find(*agent_name) : nullptr;
  if (agent_name && !which) {
    out.refusal = contract::unsupported_agent(*agent_name);
    co_return out;
  }
  auto found = d->connections.find(id);
  if (found != d->connections.end()) {
    auto there = found->second;
    if (agent_name && *agent_name != there->who().agent) {
      out.refusal = contract::conflict("server '" + id + "' already exists for agent '" + there->who().agent +
                                       "'; requested '" + *agent_name + "'");
      co_return out;
    }
    if (!fault.empty())
      out.refusal = contract::invalid_request(fault);
    else if (co_await there->started())
      out.made = there;
    else
      out.refusal = contract::stream_error("the agent " + there->who().agent + " could not be started");
    co_return out;
  }
  if (!which) {
    out.refusal =
        contract::invalid_request("missing required 'agent' query parameter for first POST to /v1/acp/{id}");
    co_return out;
  }
  if (!fault.empty()) {
    out.refusal = contract::invalid_request(fault);
    co_return out;
  }
  if (d->connections.size() >= max_connections_of_agents || d->stopping) {
    out.refusal = contract::busy("there are " + std::to_string(d->connections.size()) +
                                 " agent connections; delete those that are done");
    co_return out;
  }
  connection::identity who{id, which->id, now_ms()};
  auto created =
      connection::create(d->ex, d->where, d->new_connection_folder(), std::move(who), d->options.connections);
  if (!created) {
    out.refusal = contract::internal(created.error().text + ": " + contract::os_text(created.error().number));
    co_return out;
  }
  auto c = created.value();
  d->connections[id] = c;
  auto result = std::make_shared<begun>();
  wire::signal settled(d->ex);
  asio::co_spawn(d->ex, start(d, c, *which, std::move(how), result, settled), asio::detached);
  co_await settled.wait();
  out.refusal = std::move(result->refusal);
  if (!out.refusal) out.made = c;
  out.fresh = true;
  co_return out;
}

// Nothing: it is not what it has to be.
bool read_environment(std::string_view encoded, agent_start& how) {
  auto text = wire::percent_decode(encoded);
  if (!text) return false;
  auto value = json::parse(*text, nullptr, false);
  if (!value.is_object()) return false;
  for (auto& [name, v] : value.items()) {
    if (!v.is_string() || name.empty() || name.find('=') != name.npos) return false;
    how.environment.emplace_back(name, v.get<std::string>());
  }
  return true;
}

// A caller that takes no problems gets what failed as the response that JSON-RPC has for it. The published
// client is one: it gives the connection up, its waiting prompts unsettled, when it is answered anything
// else.
void as_rpc_error(answer& failed, const std::string& id) {
  auto problem = json::parse(failed.response.bytes(), nullptr, false);
  json error;
  error["code"] = rpc_internal_error;
  error["message"] = problem.value("detail", "the request failed");
  error["data"] = std::move(problem);
  auto text = R"({"jsonrpc":"2.0","id":)" + id + R"(,"error":)" + error.dump() + "}";
  failed.response = wire::response::json(200, std::move(text));
}

asio::awaitable<answer> send_request(std::shared_ptr<connection> c, std::shared_ptr<std::string> line,
                                     std::shared_ptr<rpc_message> what, bool takes_problems) {
  auto said = co_await c->request(std::move(*line), *what);
  if (!takes_problems && said.response.status >= 400) as_rpc_error(said, *what->id);
  co_return said;
}

asio::awaitable<void> post(daemon_ptr d, wire::exchange& x) {
  auto& r = x.request();
  std::optional<wire::response> refusal;
  auto what = std::make_shared<rpc_message>();
  agent_start how;
  auto agent_name = query_reader(r).optional_text("agent");
  if (!is_media_type(r.headers.find("content-type"), "application/json"))
    refusal = contract::unsupported_media_type("content-type must be application/json");
  else if (!accepts(r.headers, "application/json"))
    refusal = contract::not_acceptable("accept must allow application/json");
  else
    *what = look_at(r.body);
  if (!refusal && !what->is_json) refusal = contract::invalid_request("invalid JSON body: " + what->fault);
  if (auto environment = r.headers.find(environment_field);
      !refusal && environment && !read_environment(*environment, how))
    refusal = contract::invalid_request("troupe-environment must be a percent-encoded JSON object of texts");
  if (refusal) {
    co_await d->out.reply(x, std::move(*refusal));
    co_return;
  }
  std::string fault = what->fault.empty() ? "" : "request body must be a JSON-RPC object";
  auto begun = co_await find_or_start(d, x.param("id"), agent_name, std::move(how), std::move(fault));
  if (begun.refusal) {
    co_await d->out.reply(x, std::move(*begun.refusal));
    co_return;
  }
  auto c = begun.made;
  auto line = std::make_shared<std::string>(on_one_line(r.body));
  bool takes_problems = accepts(r.headers, "application/problem+json");
  work send = [c, what, line, takes_problems] {
    return what->is_request() ? send_request(c, line, what, takes_problems) : c->notify(std::move(*line));
  };
  co_await do_once(d->out, x, c->keys(), std::move(send));
}

asio::awaitable<void> put(daemon_ptr d, wire::exchange& x) {
  body_reader body(x.request());
  auto name = body.text("agent");
  agent_start how;
  how.environment = body.optional_map("env");
  how.directory = body.optional_text("cwd").value_or("");
  bool acknowledges = body.flag("acknowledge");
  for (auto& [variable, value] : how.environment)
    if (!body.refusal && (variable.empty() || variable.find('=') != variable.npos))
      body.refusal = contract::invalid_request("not the name of an environment variable: " + variable);
  if (body.refusal) {
    co_await d->out.reply(x, *body.refusal);
    co_return;
  }
  auto begun = co_await find_or_start(d, x.param("id"), name, std::move(how), std::string());
  if (begun.refusal) {
    co_await d->out.reply(x, std::move(*begun.refusal));
    co_return;
  }
  if (acknowledges && !begun.made->spool().has_consumer()) {
    auto noted = begun.made->acknowledge(0);
    if (!noted) {
      co_await d->out.reply(x, contract::internal(noted.error().text));
      co_return;
    }
  }
  auto said = wire::response::json(begun.fresh ? 201 : 200, begun.made->status());
  co_await d->out.reply(x, std::move(said));
}

std::shared_ptr<connection> find(const daemon_ptr& d, const wire::exchange& x) {
  auto found = d->connections.find(x.param("id"));
  return found == d->connections.end() ? nullptr : found->second;
}

asio::awaitable<void> status(daemon_ptr d, wire::exchange& x) {
  auto c = find(d, x);
  auto said = c ? wire::response::json(200, c->status()) : contract::session_not_found(x.param("id"));
  co_await d->out.reply(x, std::move(said));
}

asio::awaitable<void> acknowledge(daemon_ptr d, wire::exchange& x) {
  query_reader q(x.request());
  q.text("seq");
  auto seq = q.number("seq");
  auto c = find(d, x);
  if (!q.refusal && !c) q.refusal = contract::session_not_found(x.param("id"));
  if (!q.refusal) {
    auto noted = c->acknowledge(*seq);
    if (!noted)
      q.refusal = noted.error().number == EINVAL ? contract::invalid_request(noted.error().text)
                                                 : contract::internal(noted.error().text);
  }
  if (q.refusal) {
    co_await d->out.reply(x, *q.refusal);
    co_return;
  }
  json said;
  said["acknowledged"] = c->spool().acknowledged();
  said["first"] = c->spool().first();
  said["last"] = c->spool().last();
  co_await d->out.reply(x, json_response(said));
}

asio::awaitable<void> list_connections(daemon_ptr d, wire::exchange& x) {
  json out;
  out["servers"] = json::array();
  for (auto& [id, c] : d->connections) {
    json one;
    one["serverId"] = id;
    one["agent"] = c->who().agent;
    one["createdAtMs"] = c->who().created_ms;
    out["servers"].push_back(std::move(one));
  }
  co_await d->out.reply(x, json_response(out));
}

asio::awaitable<answer> end(std::shared_ptr<connection> c) {
  co_await c->end();
  c->remove_files();
  answer out;
  out.response = wire::response::empty(204);
  co_return out;
}

asio::awaitable<void> remove_connection(daemon_ptr d, wire::exchange& x) {
  auto c = find(d, x);
  if (!c) {
    co_await d->out.reply(x, wire::response::empty(204));
    co_return;
  }
  // The name is free at once; the old process ends meanwhile.
  d->connections.erase(x.param("id"));
  work what = [c] { return end(c); };
  co_await do_once(d->out, x, d->keys, std::move(what));
}

// Nothing: the header is not a number.
std::optional<std::uint64_t> last_event_id(const wire::request& r) {
  auto field = r.headers.find("last-event-id");
  if (!field) return 0;
  std::uint64_t out = 0;
  auto [at, ec] = std::from_chars(field->data(), field->data() + field->size(), out);
  if (ec != std::errc() || at != field->data() + field->size() || field->empty()) return std::nullopt;
  return out;
}

asio::awaitable<void> stream(daemon_ptr d, wire::exchange& x) {
  std::optional<wire::response> refusal;
  auto c = find(d, x);
  auto after = last_event_id(x.request());
  if (!accepts(x.request().headers, "text/event-stream"))
    refusal = contract::not_acceptable("accept must allow text/event-stream");
  else if (!c)
    refusal = contract::session_not_found(x.param("id"));
  else if (!after)
    refusal = contract::invalid_request("Last-Event-ID must be a positive integer");
  if (refusal) {
    co_await d->out.reply(x, std::move(*refusal));
    co_return;
  }
  wire::headers fields;
  fields.set("content-type", "text/event-stream");
  fields.set("cache-control", "no-cache");
  if (!co_await d->out.begin_stream(x, 200, std::move(fields))) co_return;
  if (x.request().method == "HEAD") {
    co_await x.finish();
    co_return;
  }

  wire::signal changed(d->ex);
  x.on_gone([changed] { changed.raise(); });
  auto& spool = c->spool();
  auto watcher = spool.watch(changed);
  sandboxd::spool::cursor at(spool, *after);
  bool alive = true;
  while (alive && !x.gone() && !x.stopping() && !c->closed()) {
    std::string batch;
    while (batch.size() < batch_bytes) {
      auto record = at.next();
      if (!record || !record.value()) {
        alive = record.ok();
        break;
      }
      batch += wire::format_event(record.value()->bytes, std::to_string(record.value()->sequence), "message");
    }
    if (!batch.empty()) {
      alive = co_await x.write(std::move(batch)) && alive;
      continue;
    }
    auto until = wire::clock::now() + heartbeat_every;
    std::string quiet = ": heartbeat\n\n";
    if (alive && !co_await changed.wait(until)) alive = co_await x.write(std::move(quiet));
  }
  spool.unwatch(watcher);
  if (alive) co_await x.finish();
}

}  // namespace

void add_connection_routes(wire::router& to, daemon_ptr d) {
  wire::route_options message;
  message.max_body = max_line_bytes;
  to.on("GET", "/v1/acp", [d](wire::exchange& x) { return list_connections(d, x); });
  to.on(
      "POST", "/v1/acp/{id}", [d](wire::exchange& x) { return post(d, x); }, message);
  to.on("PUT", "/v1/acp/{id}", [d](wire::exchange& x) { return put(d, x); });
  to.on("GET", "/v1/acp/{id}", [d](wire::exchange& x) { return stream(d, x); });
  to.on("DELETE", "/v1/acp/{id}", [d](wire::exchange& x) { return remove_connection(d, x); });
  to.on("GET", "/v1/acp/{id}/status", [d](wire::exchange& x) { return status(d, x); });
  to.on("POST", "/v1/acp/{id}/ack", [d](wire::exchange& x) { return acknowledge(d, x); });
}

}  // namespace troupe::sandboxd
