#include "sandboxd/api.h"

#include <signal.h>

#include "sandboxd/contract.h"
#include "sandboxd/daemon.h"

namespace troupe::sandboxd {

extern const char openapi_document[];  // openapi.json, written by the build

namespace asio = wire::asio;
namespace {

bool may_call(const access_rules& rules, const wire::request& r) {
  if (rules.everybody) return true;
  if (r.peer.unix_socket && r.peer.uid)
    for (auto uid : rules.uids)
      if (*r.peer.uid == uid) return true;
  if (!rules.token) return false;
  constexpr std::string_view scheme = "Bearer ";
  auto field = r.headers.find("authorization");
  if (field && field->substr(0, scheme.size()) == scheme)
    return wire::equal_in_constant_time(field->substr(scheme.size()), *rules.token);
  // Browsers cannot give a WebSocket a header.
  constexpr std::string_view terminal = "/terminal/ws";
  auto& path = r.path;
  bool on_websocket = path.size() > terminal.size() && path.rfind("/v1/processes/", 0) == 0 &&
                      path.compare(path.size() - terminal.size(), terminal.size(), terminal) == 0;
  auto* given = on_websocket ? r.query.find("access_token") : nullptr;
  return given && wire::equal_in_constant_time(*given, *rules.token);
}

// What this is and how to call it, is for everybody.
bool is_open(std::string_view path) {
  return path == "/" || path == "/openapi.json";
}

asio::awaitable<bool> check_access(daemon_ptr d, wire::exchange& x) {
  if (is_open(x.request().path) || may_call(d->options.access, x.request())) co_return true;
  co_await d->out.reply(x, contract::token_invalid());
  co_return false;
}

asio::awaitable<void> unknown(daemon_ptr d, wire::exchange& x) {
  if (x.request().method == "OPTIONS") {
    std::vector<std::string> none;
    co_await d->out.preflight(x, none);
    co_return;
  }
  co_await d->out.reply(x, contract::endpoint_not_found());
}

asio::awaitable<void> wrong_method(daemon_ptr d, wire::exchange& x, std::vector<std::string> allowed) {
  if (x.request().method == "OPTIONS") {
    co_await d->out.preflight(x, allowed);
    co_return;
  }
  std::string list;
  for (auto& m : allowed) list.append(list.empty() ? "" : ",").append(m);
  auto refusal = wire::response::empty(405);
  refusal.headers.set("allow", std::move(list));
  co_await d->out.reply(x, std::move(refusal));
}

wire::response refuse(int status, std::string_view, std::string_view detail) {
  if (status == 413) return contract::too_long();
  return wire::response::text(status, std::string(detail));
}

}  // namespace

struct api::parts {
  daemon_ptr shared;
  wire::router routes;
};

api::api(std::shared_ptr<parts> p) : parts_(std::move(p)) {}
api::~api() = default;

wire::server_options server_options_for_api() {
  wire::server_options out;
  out.header_bytes = 256 * 1024;
  out.body_bytes = max_json_body_bytes;
  return out;
}

outcome<std::unique_ptr<api>> api::make(wire::executor ex, place& where, std::string state,
                                        api_options options) {
  auto p = std::make_shared<parts>();
  p->shared = std::make_shared<daemon>(ex, where, std::move(state), std::move(options));
  auto recovered = p->shared->recover();
  if (!recovered) return recovered.error();
  auto d = p->shared;
  auto& routes = p->routes;
  routes.on("GET", "/", [d](wire::exchange& x) -> asio::awaitable<void> {
    std::string about = R"({"docs":"https://sandboxagent.dev","name":"Sandbox Agent"})";
    co_await d->out.reply(x, wire::response::json(200, std::move(about)));
  });
  routes.on("GET", "/openapi.json", [d](wire::exchange& x) -> asio::awaitable<void> {
    std::string document = openapi_document;
    co_await d->out.reply(x, wire::response::json(200, std::move(document)));
  });
  add_agent_routes(routes, d);
  add_connection_routes(routes, d);
  add_process_routes(routes, d);
  add_log_routes(routes, d);
  add_terminal_routes(routes, d);
  add_file_routes(routes, d);
  add_config_routes(routes, d);
  routes.before([d](wire::exchange& x) { return check_access(d, x); });
  routes.on_unknown([d](wire::exchange& x) { return unknown(d, x); });
  routes.on_wrong_method([d](wire::exchange& x, const std::vector<std::string>& allowed) {
    return wrong_method(d, x, allowed);
  });
  return std::unique_ptr<api>(new api(std::move(p)));
}

wire::service api::service() {
  auto out = parts_->routes.service();
  out.refuse = refuse;
  return out;
}

asio::awaitable<void> api::stop() {
  auto p = parts_;
  auto d = p->shared;
  d->stopping = true;
  // All at once: each has its own graces.
  auto left = std::make_shared<std::size_t>(d->connections.size());
  wire::signal ended(d->ex);
  for (auto& [id, c] : d->connections)
    asio::co_spawn(
        d->ex,
        [c = c, left, ended]() -> asio::awaitable<void> {
          co_await c->end();
          if (--*left == 0) ended.raise();
        },
        asio::detached);
  for (auto& [number, one] : d->processes) {
    auto running = one;
    if (running->running()) co_await running->signal(SIGKILL);
  }
  if (*left > 0) co_await ended.wait();
}

}  // namespace troupe::sandboxd
