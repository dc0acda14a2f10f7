// The door to sandboxes, with a daemon that the test plays behind it.
#include <atomic>

#include <boost/asio/use_future.hpp>
#include <doctest/doctest.h>

#include "net/wire/router.h"
#include "net/wire/server.h"
#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;
using namespace std::chrono_literals;

namespace {

const std::string door = "/sandboxes/acme/box/v1";

// Answers what it was asked, and echoes in its terminal.
class daemon_inside {
 public:
  daemon_inside() : server_(loop_.get_executor(), routes()) {
    thread_ = std::thread([this] { loop_.run(); });
    auto bound = server_.listen("127.0.0.1", 0);
    REQUIRE(bool(bound));
    at = wire::endpoint::tcp("127.0.0.1", bound->port);
  }
  ~daemon_inside() {
    asio::co_spawn(loop_, server_.stop(1s), asio::use_future).get();
    work_.reset();
    thread_.join();
  }
  gateway::find_sandbox find() {
    return [this](const std::string& handle) -> std::optional<gateway::sandbox_daemon> {
      if (handle != "local:one") return std::nullopt;
      return gateway::sandbox_daemon{at, "inner-secret", "/data/elsewhere"};
    };
  }

  wire::endpoint at;

 private:
  wire::service routes() {
    wire::router r;
    auto told = [](wire::exchange& x) -> asio::awaitable<void> {
      json body{{"target", x.request().target},
                {"token", std::string(x.request().headers.find("Authorization").value_or(""))}};
      auto answer = wire::response::of(200, "text/html", body.dump());
      co_await x.reply(std::move(answer));
    };
    auto refused = [](wire::exchange& x) -> asio::awaitable<void> {
      auto answer = wire::response::of(400, "application/problem+json",
                                       R"({"detail":"invalid request: path not found: /workspace/x"})");
      co_await x.reply(std::move(answer));
    };
    auto echo = [](wire::exchange& x) -> asio::awaitable<void> {
      auto socket = co_await x.upgrade({});
      if (!socket) co_return;
      std::string hello = "target " + x.request().target;
      co_await socket->write(hello);
      while (auto typed = co_await socket->read()) {
        std::string back = "echo " + typed->data;
        if (!co_await socket->write(std::move(back), false)) break;
      }
    };
    r.on("GET", "/v1/fs/entries", told);
    r.on("GET", "/v1/fs/file", told);
    r.on("GET", "/v1/fs/stat", refused);
    r.on("GET", "/v1/processes/{id}/logs", told);
    r.on("GET", "/v1/processes/{id}/terminal/ws", echo);
    return r.service();
  }

  asio::io_context loop_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{loop_.get_executor()};
  wire::server server_;
  std::thread thread_;
};

struct house {
  daemon_inside daemon;
  served s{[this](gateway::gateway_options& o) { o.sandboxes = daemon.find(); }};

  house() {
    s.make("org.make_sandbox", {{"id", "box"}, {"state", "running"}}, "org/acme/sandbox/box");
    s.make("org.make_sandbox", {{"id", "asleep"}, {"state", "paused"}}, "org/acme/sandbox/asleep");
  }
};

std::string code_of(const wire::response& r) {
  return json::parse(r.bytes()).value("code", "");
}

}  // namespace

TEST_CASE("members read a sandbox's files, and nothing of them can become a page of this server") {
  house h;
  auto file = h.s.get(door + "/fs/file?path=/workspace/a%20b.html&inline=true");
  REQUIRE(file.status == 200);
  CHECK(file.headers.find("Content-Type") == "application/octet-stream");
  CHECK(file.headers.find("Content-Disposition") == "attachment");
  CHECK(file.headers.find("X-Content-Type-Options") == "nosniff");
  auto asked = json::parse(file.bytes());
  CHECK(asked["target"] == "/v1/fs/file?path=%2Fdata%2Felsewhere%2Fa%20b.html");
  CHECK(asked["token"] == "Bearer inner-secret");
  auto folder = h.s.get(door + "/fs/entries?path=/workspaces");
  CHECK(folder.headers.find("Content-Type") == "application/json");
  CHECK(json::parse(folder.bytes())["target"] == "/v1/fs/entries?path=%2Fworkspaces");
  auto log = h.s.get(door + "/processes/proc_1/logs?tail=5&stream=pty");
  CHECK(json::parse(log.bytes())["target"] == "/v1/processes/proc_1/logs?stream=pty&tail=5");
  auto missing = h.s.get(door + "/fs/stat?path=/workspace/x");
  CHECK(missing.status == 404);
  CHECK(json::parse(missing.bytes())["detail"] == "path not found: /workspace/x");
}

TEST_CASE("viewers stay outside, strangers see no sandbox, and nothing is changed through the door") {
  house h;
  CHECK(h.s.get(door + "/fs/file?path=x", "vic-token").status == 403);
  CHECK(h.s.get(door + "/fs/file?path=x", "bob-token").status == 404);
  CHECK(h.s.get(door + "/fs/file?path=x", "").status == 401);
  CHECK(h.s.get("/sandboxes/acme/none/v1/fs/file?path=x").status == 404);
  CHECK(code_of(h.s.get("/sandboxes/acme/asleep/v1/fs/file?path=x")) == "sandbox_not_running");
  wire::request put;
  put.method = "PUT";
  put.target = door + "/fs/file?path=/workspace/x";
  CHECK(h.s.send(put).status == 405);
  CHECK(h.s.post(door + "/processes", {{"command", "true"}}).status == 404);
  CHECK(h.s.get(door + "/acp/one").status == 404);
  auto strange = json::parse(h.s.get(door + "/processes/..%2F..%2Facp/logs").bytes());
  CHECK(strange["target"] == "/v1/processes/..%2F..%2Facp/logs");
}

TEST_CASE("a terminal passes both ways, is noted, and closes when its person is no member any more") {
  house h;
  wire::blocking_client client;
  client.run([&](wire::client& c) -> asio::awaitable<void> {
    wire::websocket_options o;
    o.extra.add("Authorization", "Bearer ada-token");
    auto socket = co_await c.connect_websocket(h.s.at, door + "/processes/proc_1/terminal/ws", o,
                                               wire::clock::now() + patience);
    REQUIRE(bool(socket));
    auto first = co_await socket->read();
    REQUIRE(first);
    CHECK(first->data == "target /v1/processes/proc_1/terminal/ws?replay=true");
    CHECK(co_await socket->write("hello"));
    auto back = co_await socket->read();
    REQUIRE(back);
    CHECK(back->data == "echo hello");
    CHECK_FALSE(back->text);
    h.s.who.set_role("ada-token", "acme", "viewer");
    auto end = co_await socket->read();
    CHECK_FALSE(end);
    CHECK(socket->closed().code == 4401);
  });
  std::lock_guard lock(h.s.looks_mutex);
  REQUIRE(h.s.looks.size() == 1);
  CHECK(h.s.looks[0] == "ada org/acme/sandbox/box terminal of proc_1");
}

TEST_CASE("pages of other sites open no terminal") {
  house h;
  wire::blocking_client client;
  client.run([&](wire::client& c) -> asio::awaitable<void> {
    wire::websocket_options o;
    o.extra.add("Authorization", "Bearer ada-token");
    o.extra.add("Origin", "https://evil.example");
    auto socket = co_await c.connect_websocket(h.s.at, door + "/processes/proc_1/terminal/ws", o,
                                               wire::clock::now() + patience);
    CHECK_FALSE(bool(socket));
  });
}
