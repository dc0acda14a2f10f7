#include "tests/gateway/kit.h"

#include <condition_variable>
#include <deque>
#include <future>
#include <stdexcept>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>

#include "runtime/schema.h"

namespace troupe::gateway::testing {

namespace {

constexpr storage::migration org_tables[] = {
    {1, "CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER);"}};
constexpr storage::migration note_tables[] = {
    {1, "CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL, n INTEGER NOT NULL);"}};
constexpr storage::migration sandbox_tables[] = {
    {1, "CREATE TABLE t (id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT NOT NULL);"}};
constexpr std::string_view any = R"({"type":"object"})";
constexpr schema_file org_files[] = {
    {"org.open.body.json", any},         {"org.make.body.json", any},           {"org.make.result.json", any},
    {"org.make_sandbox.body.json", any}, {"org.make_sandbox.result.json", any}, {"snapshot.json", any}};
constexpr schema_file note_files[] = {
    {"note.start.body.json", any},
    {"note.write.body.json",
     R"({"type":"object","required":["text"],"additionalProperties":false,"properties":{"text":{"type":"string"}}})"},
    {"note.write.result.json", any},
    {"note.add.body.json", any},
    {"note.add.result.json", any},
    {"note.read.body.json", any},
    {"note.read.result.json", any},
    {"note.close.body.json", any},
    {"note.close.result.json", any},
    {"snapshot.json", any},
    {"lines.entry.json", any}};

constexpr schema_file sandbox_files[] = {{"sandbox.start.body.json", any}, {"snapshot.json", any}};

answer open_org(turn& t, const json&) {
  t.run("INSERT OR IGNORE INTO t VALUES (1, 0)");
  return done();
}

answer make_note(turn& t, const json& body) {
  t.run("UPDATE t SET n = n + 1");
  t.create(t.self().child("note", body.at("id").get<std::string>()), "note.start", json::object());
  return done();
}

answer make_sandbox(turn& t, const json& body) {
  t.create(t.self().child("sandbox", body.at("id").get<std::string>()), "sandbox.start", body);
  return done();
}

answer start_sandbox(turn& t, const json& body) {
  t.run("INSERT OR IGNORE INTO t VALUES (1, ?)", body.at("state").get<std::string>());
  return done();
}

json sandbox_snapshot(const view& v) {
  return {{"state", v.one<std::string>("SELECT state FROM t").value_or("")}, {"handle", "local:one"}};
}

json org_snapshot(const view& v) {
  return {{"notes", v.one<std::int64_t>("SELECT n FROM t").value_or(0)}};
}

answer start_note(turn& t, const json&) {
  t.run("INSERT OR IGNORE INTO t VALUES (1, '', 0)");
  return done();
}

answer write_note(turn& t, const json& body) {
  t.run("UPDATE t SET text = ?, n = n + 1", body.at("text").get<std::string>());
  return json{{"n", *t.one<std::int64_t>("SELECT n FROM t")}};
}

answer add_lines(turn& t, const json& body) {
  auto count = body.value("count", 1);
  for (int i = 0; i < count; ++i) t.append("lines", {{"line", body.value("line", "x")}});
  if (body.value("write", false)) t.run("UPDATE t SET n = n + 1");
  return done();
}

answer read_note(const view& v, const json&) {
  return json{{"text", v.one<std::string>("SELECT text FROM t").value_or("")}};
}

json note_snapshot(const view& v) {
  return {{"text", v.one<std::string>("SELECT text FROM t").value_or("")},
          {"n", v.one<std::int64_t>("SELECT n FROM t").value_or(0)}};
}

}  // namespace

const kind& org_kind() {
  static const kind k{
      .name = "org",
      .schema = {org_tables, org_files},
      .commands = {{"org.open", from::host(), lane::interactive, open_org, {}, true},
                   {"org.make", from::client("member"), lane::interactive, make_note},
                   {"org.make_sandbox", from::client("member"), lane::interactive, make_sandbox}},
      .snapshot = org_snapshot};
  return k;
}

const kind& note_kind() {
  static const kind k{.name = "note",
                      .schema = {note_tables, note_files},
                      .commands = {{"note.start", from::parent(), lane::interactive, start_note, {}, true},
                                   {"note.write", from::client("member"), lane::interactive, write_note},
                                   {"note.add", from::client("member"), lane::interactive, add_lines}},
                      .queries = {{"note.read", "viewer", read_note}},
                      .snapshot = note_snapshot,
                      .streams = {{"lines", "viewer", 1000}}};
  return k;
}

const kind& sandbox_kind() {
  static const kind k{
      .name = "sandbox",
      .schema = {sandbox_tables, sandbox_files},
      .commands = {{"sandbox.start", from::parent(), lane::interactive, start_sandbox, {}, true}},
      .snapshot = sandbox_snapshot};
  return k;
}

void people::add(const std::string& token, principal p) {
  std::lock_guard lock(mutex_);
  by_token_[token] = std::move(p);
}

void people::changed() {
  std::vector<std::function<void()>> all;
  {
    std::lock_guard lock(mutex_);
    all = listeners_;
  }
  for (auto& f : all) f();
}

void people::revoke(const std::string& token) {
  {
    std::lock_guard lock(mutex_);
    by_token_.erase(token);
  }
  changed();
}

void people::set_role(const std::string& token, const std::string& org, const std::string& role) {
  {
    std::lock_guard lock(mutex_);
    auto& roles = by_token_.at(token).roles;
    if (role.empty()) {
      roles.erase(org);
    } else {
      roles[org] = role;
    }
  }
  changed();
}

std::optional<identified> people::by_token(std::string_view token) const {
  std::lock_guard lock(mutex_);
  auto found = by_token_.find(token);
  if (found == by_token_.end()) return std::nullopt;
  return identified{found->second, std::string(token)};
}

std::optional<principal> people::again(const std::string& handle) const {
  auto found = by_token(handle);
  if (!found) return std::nullopt;
  return found->who;
}

void people::sign_in(std::string word, std::string, on_signed_in done) {
  if (word != "good-word") return done(problem{410, "link_used", "this sign-in link was used or is too old"});
  principal p;
  p.user = "ada";
  p.roles["acme"] = "owner";
  add("cookie-1", p);
  done(signed_in{"cookie-1", 3600});
}

void people::sign_out(const std::string& handle, on_done done) {
  revoke(handle);
  done(std::nullopt);
}

void people::list(const std::string&, on_credentials done) {
  done(credentials{{{"s1", "ada", "a browser", 1, 2}}, {{"t1", "ada", "a program", 1, 0}}});
}

void people::on_change(std::function<void()> f) {
  std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(f));
}

verdict people::judge(const std::string& user, const key& k, std::string_view role) const {
  std::lock_guard lock(mutex_);
  for (const auto& [token, p] : by_token_) {
    if (p.user != user) continue;
    auto org = k.id_of("org");
    if (!p.may(org, "viewer")) return verdict::hidden;
    return role.empty() || p.may(org, role) ? verdict::allow : verdict::forbidden;
  }
  return verdict::hidden;
}

served::served(std::function<void(gateway_options&)> change) {
  auto name = (std::filesystem::temp_directory_path() / "gateway-test-XXXXXX").string();
  folder = ::mkdtemp(name.data());
  principal ada, bob, vic, mia, root;
  ada.user = "ada";
  ada.roles["acme"] = "owner";
  bob.user = "bob";
  bob.roles["other"] = "owner";
  vic.user = "vic";
  vic.roles["acme"] = "viewer";
  mia.user = "mia";
  mia.roles["acme"] = "member";
  who.add("mia-token", mia);
  root.user = "root";
  root.admin = true;
  who.add("ada-token", ada);
  who.add("bob-token", bob);
  who.add("vic-token", vic);
  who.add("root-token", root);
  secrets = open_secret_store(folder / "secrets", sealing_key::from_file(folder / "secrets.key"));

  host_options h;
  h.data = folder / "data";
  h.kinds = {&org_kind(), &note_kind(), &sandbox_kind()};
  h.sync = storage::durability::off;
  h.authorize = [this](const std::string& user, const key& k, std::string_view role) {
    return who.judge(user, k, role);
  };
  actors.emplace(std::move(h));
  actors->start();
  restart_of_org("acme");
  restart_of_org("other");

  gateway_options o;
  o.version = "9.9.9";
  o.secrets = secrets.get();
  o.metrics_token = "scraper";
  o.audit_look = [this](const std::string& user, const key& k, std::string_view what) {
    std::lock_guard lock(looks_mutex);
    looks.push_back(user + " " + k.str() + " " + std::string(what));
  };
  if (change) change(o);
  work.emplace(loop.get_executor());
  for (int i = 0; i < 2; ++i) threads.emplace_back([this] { loop.run(); });
  door.emplace(loop.get_executor(), *actors, who, std::move(o));
  auto bound = door->listen("127.0.0.1", 0);
  if (!bound) throw std::runtime_error(bound.error().text);
  at = wire::endpoint::tcp("127.0.0.1", bound->port);
  make("org.make", {{"id", "n1"}}, "org/acme/note/n1");
}

void served::make(const std::string& command, const json& body, const std::string& made) {
  auto answer = post("/v1/actors/org/acme/commands/" + command, body);
  if (answer.status != 200) throw std::runtime_error(command + ": " + std::string(answer.bytes()));
  for (auto until = wire::clock::now() + patience; get("/v1/actors/" + made + "/snapshot").status != 200;) {
    if (wire::clock::now() > until) throw std::runtime_error(made + " does not come to be");
  }
}

void served::restart_of_org(const std::string& org) {
  std::promise<reply> done;
  actors->command_as_host(
      key("org/" + org), "org.open", json::object(), "open", [&](reply r) { done.set_value(std::move(r)); },
      true);
  auto r = done.get_future().get();
  if (!r.ok()) throw std::runtime_error(r.error().detail);
}

served::~served() {
  asio::co_spawn(loop, door->stop(std::chrono::seconds(5)), asio::use_future).get();
  work.reset();
  for (auto& t : threads) t.join();
  actors->stop();
  door.reset();
  actors.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

wire::response served::send(wire::request r, const std::string& token) {
  if (!token.empty()) r.headers.set("Authorization", "Bearer " + token);
  wire::blocking_client c;
  auto answer = c.fetch(at, std::move(r), patience);
  if (!answer) throw std::runtime_error(answer.error().text);
  return *answer;
}

wire::response served::get(const std::string& target, const std::string& token) {
  wire::request r;
  r.target = target;
  return send(std::move(r), token);
}

wire::response served::post(const std::string& target, const json& body, const std::string& token,
                            wire::headers more) {
  wire::request r;
  r.method = "POST";
  r.target = target;
  r.headers = std::move(more);
  r.headers.set("Content-Type", "application/json");
  r.body = body.dump();
  return send(std::move(r), token);
}

namespace {

json with_schemas_inside(served& s, json value) {
  if (value.is_object() && value.contains("$ref")) {
    const std::string ref = value["$ref"];
    if (ref.starts_with("/schemas/")) return json::parse(s.get(ref, "").bytes());
  }
  if (value.is_structured())
    for (auto& part : value) part = with_schemas_inside(s, std::move(part));
  return value;
}

// What the server says of its own frames; the same for every server of this kit.
const std::map<std::string, schema>& frames_of_contract(served& s) {
  static const auto all = [&] {
    const auto contract = json::parse(s.get("/asyncapi.json", "").bytes());
    std::map<std::string, schema> made;
    for (const auto& ref : contract.at("operations").at("toClient").at("messages")) {
      const auto message = contract.at(json::json_pointer(ref.at("$ref").get<std::string>().substr(1)));
      const auto text = with_schemas_inside(s, message.at("payload")).dump();
      made.try_emplace(message.at("name"), message.at("name").get<std::string>(), text);
    }
    return made;
  }();
  return all;
}

}  // namespace

struct talker::state {
  const std::map<std::string, schema>* contract = nullptr;
  asio::io_context loop;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work{loop.get_executor()};
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> heard;
  std::optional<wire::ws_close> closed;
  std::optional<wire::websocket> socket;
  std::string failed;
  bool connected = false;
};

talker::talker(served& s, const std::string& token, bool read, bool deflate)
    : state_(std::make_shared<state>()) {
  auto st = state_;
  st->contract = &frames_of_contract(s);
  auto to = s.at;
  asio::co_spawn(
      st->loop,
      [st, to, token, read, deflate]() -> asio::awaitable<void> {
        wire::client c(st->loop.get_executor());
        wire::websocket_options o;
        o.subprotocols = {"troupe.v1"};
        o.extra.add("Authorization", "Bearer " + token);
        o.message_limit = 64 << 20;
        o.deflate = deflate;
        auto made = co_await c.connect_websocket(to, "/v1/ws", o, wire::clock::now() + patience);
        {
          std::lock_guard lock(st->mutex);
          if (made) {
            st->socket.emplace(std::move(*made));
            st->connected = true;
          } else {
            st->failed = made.error().text + " " + made.error().body;
          }
        }
        st->changed.notify_all();
        if (!st->socket || !read) co_return;
        while (auto m = co_await st->socket->read()) {
          std::lock_guard lock(st->mutex);
          st->heard.push_back(std::move(m->data));
          st->changed.notify_all();
        }
        std::lock_guard lock(st->mutex);
        st->closed = st->socket->closed();
        st->changed.notify_all();
      },
      asio::detached);
  thread_ = std::thread([st] { st->loop.run(); });
  std::unique_lock lock(st->mutex);
  st->changed.wait_for(lock, patience, [&] { return st->connected || !st->failed.empty(); });
  if (!st->connected) {
    lock.unlock();
    st->loop.stop();
    thread_.join();
    throw std::runtime_error(st->failed);
  }
}

// The loop runs until nothing is left in it: what waits there owns the state that owns the loop.
talker::~talker() {
  asio::post(state_->loop, [s = state_.get()] {
    if (s->socket) s->socket->cut();
    s->work.reset();
  });
  if (thread_.joinable()) thread_.join();
}

void talker::say_text(std::string text) {
  asio::post(state_->loop, [s = state_, text = std::move(text)] { s->socket->send(text); });
}

void talker::say(const json& message) {
  say_text(message.dump());
}

json talker::hear() {
  std::unique_lock lock(state_->mutex);
  if (!state_->changed.wait_for(lock, patience, [&] { return !state_->heard.empty() || state_->closed; }) ||
      state_->heard.empty())
    throw std::runtime_error("nothing more is heard");
  auto text = std::move(state_->heard.front());
  state_->heard.pop_front();
  auto frame = json::parse(text);
  const auto known = state_->contract->find(frame.value("op", ""));
  if (known == state_->contract->end()) throw std::runtime_error("the contract has no such frame: " + text);
  for (const auto& wrong : known->second.check(frame)) {
    throw std::runtime_error("not as the contract says: " + wrong.pointer + " " + wrong.message + " in " +
                             text);
  }
  return frame;
}

json talker::hear(const std::string& op) {
  for (;;) {
    auto frame = hear();
    if (frame.value("op", "") == op) return frame;
  }
}

json talker::reply_to(const std::string& id) {
  for (;;) {
    auto frame = hear("reply");
    if (frame["id"] == id) return frame;
  }
}

json talker::ask(const json& message) {
  say(message);
  return reply_to(message.at("id").get<std::string>());
}

std::optional<wire::ws_close> talker::closed_within(std::chrono::milliseconds limit) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, limit, [&] { return state_->closed.has_value(); });
  return state_->closed;
}

}  // namespace troupe::gateway::testing
