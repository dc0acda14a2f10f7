// The door to a sandbox: its files, the output of its processes and its terminals, for members. What changes
// a sandbox is a command of its actor; only typing into a terminal and its size pass through here.
//
// What is inside a sandbox is not trusted: nothing that its daemon answers can become a page of this server.
#include "net/gateway/answers.h"
#include "net/gateway/callback.h"
#include "net/gateway/context.h"
#include "net/gateway/ws_connection.h"

namespace troupe::gateway {

namespace {

constexpr auto head_limit = std::chrono::seconds(30);
constexpr auto silence_limit = std::chrono::seconds(60);  // the daemon says something every 15 s
constexpr std::size_t max_refusal_bytes = 16 * 1024;
constexpr std::string_view workspace = "/workspace";

struct inside {
  key actor;
  sandbox_daemon daemon;
};

// Strangers see no sandbox; viewers see its actor, but not what is in it.
asio::awaitable<std::variant<inside, problem>> enter(context& c, const wire::exchange& ex, const caller& by) {
  const auto& org = ex.param("org");
  auto none = not_found("there is no sandbox " + ex.param("sandbox") + " in " + org);
  auto k = key::parse("org/" + org + "/sandbox/" + ex.param("sandbox"));
  if (!c.options.sandboxes || !k || !by.who.may(org, "viewer") || !c.actors.exists(*k)) co_return none;
  if (!by.who.may(org, "member")) co_return forbidden("the inside of a sandbox needs the role member");
  auto ask = [&](auto done) { c.actors.snapshot(*k, by.who.user, std::move(done)); };
  auto found = co_await called_back<std::variant<snapshot_ptr, problem>>(ask);
  if (auto* why = std::get_if<problem>(&*found)) co_return *why;
  auto shown = json::parse(std::get<snapshot_ptr>(*found)->data);
  auto state = shown.value("state", "");
  if (state != "running")
    co_return conflict(
        "sandbox_not_running",
        "the sandbox is " + state + "; one that sleeps is woken by sandbox.resume or sandbox.start");
  auto daemon = c.options.sandboxes(shown.value("handle", ""));
  if (!daemon) co_return conflict("sandbox_not_running", "the sandbox is gone: make the task a new one");
  co_return inside{std::move(*k), std::move(*daemon)};
}

// The places of a sandbox that isolates nothing are elsewhere.
std::string inner_path(const sandbox_daemon& daemon, const std::string& path) {
  if (path != workspace && !path.starts_with(std::string(workspace) + "/")) return path;
  return daemon.workspace + path.substr(workspace.size());
}

wire::request request_to(const sandbox_daemon& daemon, const wire::exchange& ex, const std::string& path,
                         std::initializer_list<std::string_view> parameters) {
  wire::request out;
  wire::query query;
  for (auto name : parameters) {
    const auto* value = ex.request().query.find(name);
    if (!value) continue;
    query.add(std::string(name), name == "path" ? inner_path(daemon, *value) : *value);
  }
  out.target = path;
  if (auto text = query.encode(); !text.empty()) out.target += "?" + text;
  if (!daemon.token.empty()) out.headers.set("Authorization", "Bearer " + daemon.token);
  return out;
}

problem not_reached(const wire::failure& why) {
  return {502, "sandbox_not_reached", "the sandbox does not answer: " + why.text};
}

problem refusal_of(int status, std::string_view body) {
  auto said = json::parse(body, nullptr, false);
  std::string detail(body);
  if (said.is_object() && said.contains("detail") && said["detail"].is_string()) detail = said["detail"];
  for (std::string_view prefix : {"invalid request: ", "not found: ", "conflict: "})
    if (detail.starts_with(prefix)) detail.erase(0, prefix.size());
  if (detail.starts_with("path not found")) status = 404;
  if (status < 400 || status == 401) status = 502;
  return {status, status == 404 ? "not_found" : "sandbox_refused", detail};
}

// Sends the request and passes the answer on as it comes, at its reader's pace.
asio::awaitable<void> pass_on(std::shared_ptr<context> c, wire::exchange& ex, wire::endpoint to,
                              wire::request what, std::string type) {
  auto answer = co_await c->outgoing.open_stream(to, std::move(what), wire::clock::now() + head_limit);
  if (!answer) {
    auto why = not_reached(answer.error());
    co_await c->refuse(ex, why, ex.request().path);
    co_return;
  }
  if (answer->status() > 299) {
    std::string body;
    while (body.size() < max_refusal_bytes) {
      auto piece = co_await answer->read(std::chrono::seconds(5));
      if (!piece || !*piece) break;
      body += **piece;
    }
    auto why = refusal_of(answer->status(), body);
    co_await c->refuse(ex, why, ex.request().path);
    co_return;
  }
  wire::headers fields{{"Content-Type", type},
                       {"Cache-Control", "no-store"},
                       {"X-Content-Type-Options", "nosniff"},
                       {"Content-Security-Policy", "sandbox; default-src 'none'"}};
  if (type == "application/octet-stream") fields.add("Content-Disposition", "attachment");
  for (auto name : {"Content-Length", "Content-Range"})
    if (auto value = answer->headers().find(name)) fields.add(name, std::string(*value));
  auto status = answer->status() == 206 ? 206 : 200;
  c->counted.request(status);
  if (!co_await ex.begin_stream(status, fields)) co_return;
  ex.on_gone([&answer] { answer->close(); });
  for (;;) {
    auto piece = co_await answer->read(silence_limit);
    if (!piece) co_return;  // cut, so that nobody takes a part for the whole
    if (!*piece) break;
    if (!co_await ex.write(std::move(**piece))) co_return;
  }
  co_await ex.finish();
}

using handled = asio::awaitable<void> (*)(std::shared_ptr<context>, wire::exchange&, const caller&);

template <class Make>
asio::awaitable<void> through(std::shared_ptr<context> c, wire::exchange& ex, const caller& by, Make make,
                              std::string type) {
  auto entered = co_await enter(*c, ex, by);
  if (auto* why = std::get_if<problem>(&entered)) {
    co_await c->refuse(ex, *why, ex.request().path);
    co_return;
  }
  auto& where = std::get<inside>(entered);
  auto what = make(where.daemon, ex);
  co_await pass_on(c, ex, where.daemon.at, std::move(what), std::move(type));
}

std::string process_path(const wire::exchange& ex, std::string_view rest) {
  return "/v1/processes/" + wire::percent_encode(ex.param("process")) + std::string(rest);
}

asio::awaitable<void> list_folder(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto make = [](const auto& daemon, const auto& x) {
    return request_to(daemon, x, "/v1/fs/entries", {"path"});
  };
  co_await through(c, ex, by, make, "application/json");
}

asio::awaitable<void> stat_file(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto make = [](const auto& daemon, const auto& x) {
    return request_to(daemon, x, "/v1/fs/stat", {"path"});
  };
  co_await through(c, ex, by, make, "application/json");
}

asio::awaitable<void> read_file(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto make = [](const auto& daemon, const auto& x) {
    auto what = request_to(daemon, x, "/v1/fs/file", {"path"});
    if (auto range = x.request().headers.find("Range")) what.headers.set("Range", std::string(*range));
    return what;
  };
  co_await through(c, ex, by, make, "application/octet-stream");
}

asio::awaitable<void> read_logs(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  const bool follows = ex.request().query.boolean("follow").value_or(false);
  std::shared_ptr<context::seat> seat;
  if (follows && !(seat = c->take_seat(by.who.user))) {
    auto why =
        too_many("too_many_connections", "this principal has too many open connections: close one first");
    co_await c->refuse(ex, why, ex.request().path);
    co_return;
  }
  auto make = [](const auto& daemon, const auto& x) {
    auto what = request_to(daemon, x, process_path(x, "/logs"), {"stream", "tail", "since", "follow"});
    if (auto last = x.request().headers.find("Last-Event-ID"))
      what.headers.set("Last-Event-ID", std::string(*last));
    return what;
  };
  co_await through(c, ex, by, make, follows ? "text/event-stream" : "application/json");
}

// One who looks at a terminal and may type into it, for as long as they are members.
class terminal_viewer final : public open_connection, public std::enable_shared_from_this<terminal_viewer> {
 public:
  terminal_viewer(std::shared_ptr<context> c, caller by, std::string org, wire::websocket near,
                  wire::websocket far)
      : context_(std::move(c)),
        by_(std::move(by)),
        org_(std::move(org)),
        near_(std::move(near)),
        far_(std::move(far)) {}

  asio::awaitable<void> run() {
    asio::co_spawn(
        near_.get_executor(), [self = shared_from_this()] { return self->show(); }, asio::detached);
    while (auto typed = co_await near_.read())
      if (!co_await far_.write(std::move(typed->data), typed->text)) break;
    co_await far_.close();
    co_await near_.close(end_);
  }

  void recheck() override {
    asio::post(near_.get_executor(), [self = shared_from_this()] {
      auto now = self->context_->people.again(self->by_.handle);
      if (now && now->may(self->org_, "member")) return;
      self->end_ = close_revoked;
      self->far_.cut();
    });
  }

 private:
  asio::awaitable<void> show() {
    auto self = shared_from_this();
    while (auto output = co_await far_.read())
      if (!co_await near_.write(std::move(output->data), output->text)) break;
    co_await near_.close(end_);
    far_.cut();
  }

  std::shared_ptr<context> context_;
  caller by_;
  std::string org_;
  wire::websocket near_;
  wire::websocket far_;
  std::uint16_t end_ = wire::close_normal;
};

asio::awaitable<void> attach_terminal(std::shared_ptr<context> c, wire::exchange& ex, const caller& by) {
  auto entered = co_await enter(*c, ex, by);
  auto seat = c->take_seat(by.who.user);
  std::optional<problem> why;
  if (auto* refused = std::get_if<problem>(&entered)) {
    why = *refused;
  } else if (!ex.upgrade_requested()) {
    why = problem{426, "upgrade_required", "a terminal is a WebSocket"};
  } else if (!seat) {
    why = too_many("too_many_connections", "this principal has too many open connections: close one first");
  }
  if (why) {
    co_await c->refuse(ex, *why, ex.request().path);
    co_return;
  }
  const auto& where = std::get<inside>(entered);
  wire::websocket_options options;
  options.message_limit = c->options.limits.frame_bytes;
  options.ping_every = c->options.limits.ping_every;
  options.silent_limit = c->options.limits.silent_limit;
  auto outwards = options;
  if (!where.daemon.token.empty()) outwards.extra.set("Authorization", "Bearer " + where.daemon.token);
  auto far =
      co_await c->outgoing.connect_websocket(where.daemon.at, process_path(ex, "/terminal/ws?replay=true"),
                                             outwards, wire::clock::now() + head_limit);
  if (!far) {
    problem refused{409, "no_terminal", "the process has no terminal: " + far.error().text};
    co_await c->refuse(ex, refused, ex.request().path);
    co_return;
  }
  auto near = co_await ex.upgrade(options);
  if (!near) co_return;
  if (c->options.audit_look)
    c->options.audit_look(by.who.user, where.actor, "terminal of " + ex.param("process"));
  c->counted.websocket_opened();
  auto one = std::make_shared<terminal_viewer>(c, by, ex.param("org"), std::move(*near), std::move(*far));
  c->join(one);
  co_await one->run();
  c->counted.websocket_closed();
}

}  // namespace

void add_sandbox_routes(wire::router& r, const std::shared_ptr<context>& c) {
  auto people = [&](handled f) {
    return c->for_people(
        [c = c.get(), f](wire::exchange& ex, const caller& by) { return f(c->shared_from_this(), ex, by); });
  };
  const std::string door = "/sandboxes/{org}/{sandbox}/v1";
  r.on("GET", door + "/fs/entries", people(list_folder));
  r.on("GET", door + "/fs/stat", people(stat_file));
  r.on("GET", door + "/fs/file", people(read_file));
  r.on("GET", door + "/processes/{process}/logs", people(read_logs));
  r.on("GET", door + "/processes/{process}/terminal/ws", people(attach_terminal));
}

}  // namespace troupe::gateway
