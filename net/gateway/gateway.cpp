#include "net/gateway/gateway.h"

#include "net/gateway/answers.h"
#include "net/gateway/context.h"

namespace troupe::gateway {

namespace {

asio::awaitable<void> no_such_route(std::shared_ptr<context> c, wire::exchange& ex) {
  if (!co_await c->admit(ex)) co_return;
  auto why = not_found("nothing is at " + ex.request().path);
  co_await c->refuse(ex, why, ex.request().path);
}

asio::awaitable<void> wrong_method(std::shared_ptr<context> c, wire::exchange& ex, std::string allowed) {
  if (!co_await c->admit(ex)) co_return;
  // A browser's question before a request from another site's page; admit() has checked the origin.
  if (ex.request().method == "OPTIONS" && ex.request().headers.has("Origin")) {
    auto answer = wire::response::empty(204);
    answer.headers.add("Access-Control-Allow-Methods", allowed);
    answer.headers.add("Access-Control-Allow-Headers",
                       "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID");
    answer.headers.add("Access-Control-Max-Age", "600");
    co_await c->reply(ex, std::move(answer));
    co_return;
  }
  problem why{405, "method_not_allowed", ex.request().path + " takes " + allowed};
  auto answer = refusal(why, ex.request().path);
  answer.headers.add("Allow", allowed);
  co_await c->reply(ex, std::move(answer));
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) {
    if (!out.empty()) out += ", ";
    out += word;
  }
  return out;
}

wire::server_options server_options_of(const context& c) {
  const auto& o = c.options;
  wire::server_options s;
  s.connections = o.limits.connections;
  s.body_bytes = o.limits.body_bytes;
  s.write_limit = o.limits.write_limit;
  for (const auto& group : c.groups) s.strands.push_back(group->strand);
  if (o.log)
    s.on_fault = [log = o.log](std::string_view where, std::string_view what) {
      log("http", std::string(where) + ": " + std::string(what));
    };
  return s;
}

}  // namespace

class gateway::impl {
 public:
  impl(wire::executor ex, host& h, authenticator& people, gateway_options options)
      : shared(std::make_shared<context>(ex, h, people, std::move(options))),
        server(ex, make_service(), server_options_of(*shared)) {
    people.on_change([weak = std::weak_ptr(shared)] {
      if (auto c = weak.lock()) c->recheck_all();
    });
  }

  wire::service make_service() {
    wire::router r;
    auto& c = shared;
    for (const auto& name : c->options.hosts) c->own_names.push_back(name);
    r.before([c](wire::exchange& ex) { return c->admit(ex); });
    r.on_unknown([c](wire::exchange& ex) { return no_such_route(c, ex); });
    r.on_wrong_method([c](wire::exchange& ex, const std::vector<std::string>& allowed) {
      return wrong_method(c, ex, joined(allowed));
    });
    add_actor_routes(r, c);
    add_stream_routes(r, c);
    add_inspect_routes(r, c);
    add_backup_routes(r, c);
    add_secret_routes(r, c);
    add_session_routes(r, c);
    add_sandbox_routes(r, c);
    add_contract_routes(r, c);
    add_page_routes(r, c);
    add_websocket_route(r, c);
    routes = r.routes();
    return r.service();
  }

  std::shared_ptr<context> shared;
  std::vector<std::pair<std::string, std::string>> routes;  // before the server, which makes them
  wire::server server;
};

gateway::gateway(wire::executor ex, host& h, authenticator& people, gateway_options options)
    : impl_(std::make_shared<impl>(std::move(ex), h, people, std::move(options))) {}

gateway::~gateway() = default;

wire::result<wire::bound_address> gateway::listen(const std::string& address, std::uint16_t port,
                                                  std::shared_ptr<wire::certificate> proof) {
  return impl_->server.listen(address, port, std::move(proof));
}

const std::vector<std::pair<std::string, std::string>>& gateway::routes() const {
  return impl_->routes;
}

asio::awaitable<void> gateway::stop(std::chrono::milliseconds limit) {
  auto i = impl_;
  co_await i->server.stop(limit);
  i->shared->outgoing.close();
  i->shared->backups.stop();
  i->shared->blocking.join();
}

}  // namespace troupe::gateway
