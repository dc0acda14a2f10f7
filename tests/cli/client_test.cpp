// The client side of the CLI against a server of the wire that answers as the protocol says.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "cli/api.h"
#include "cli/live.h"
#include "net/wire/router.h"
#include "net/wire/server.h"

using namespace troupe::cli;
namespace wire = troupe::wire;
namespace asio = wire::asio;
using namespace std::chrono_literals;

namespace {

std::chrono::steady_clock::time_point soon() {
  return std::chrono::steady_clock::now() + 10s;
}

class server {
 public:
  explicit server(wire::router routes)
      : routes_(std::move(routes)), server_(io_.get_executor(), routes_.service()) {
    auto bound = server_.listen("127.0.0.1", 0);
    REQUIRE(bound);
    url = fmt::format("http://127.0.0.1:{}", bound->port);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~server() {
    asio::co_spawn(io_, server_.stop(200ms), [this](std::exception_ptr) { io_.stop(); });
    thread_.join();
  }

  std::string url;
  place_of_server place(std::string token = "t0ken") const { return {url, std::move(token), "the test"}; }

 private:
  asio::io_context io_;
  wire::router routes_;
  wire::server server_;
  std::thread thread_;
};

wire::response problem(int status, std::string code, std::string detail, std::string violations = "") {
  wire::problem p{.status = status,
                  .code = std::move(code),
                  .title = {},
                  .detail = std::move(detail),
                  .instance = {},
                  .type = {}};
  if (!violations.empty()) p.extensions.emplace_back("violations", std::move(violations));
  return p.to_response();
}

failure failing(const std::function<void()>& f) {
  try {
    f();
  } catch (const failure& why) {
    return why;
  }
  FAIL("did not fail");
  return failure("");
}

/// Serves the WebSocket with one script for each connection, in order; the last one again and again.
using script = std::function<asio::awaitable<void>(wire::websocket&)>;
wire::router websocket_routes(std::vector<script> scripts) {
  wire::router routes;
  auto next = std::make_shared<std::atomic<std::size_t>>(0);
  routes.on("GET", "/v1/ws", [=](wire::exchange& ex) -> asio::awaitable<void> {
    const auto at = std::min(next->fetch_add(1), scripts.size() - 1);
    const auto run = scripts[at];
    wire::websocket_options options;
    options.subprotocols = {"troupe.v1"};
    auto ws = co_await ex.upgrade(options);
    if (ws) co_await run(*ws);
  });
  return routes;
}

asio::awaitable<json> read(wire::websocket& ws) {
  auto message = co_await ws.read();
  co_return message ? json::parse(message->data) : json();
}

asio::awaitable<void> send(wire::websocket& ws, json frame) {
  co_await ws.write(frame.dump());
}

json entries(std::uint64_t after, std::uint64_t last) {
  json list = json::array();
  for (auto seq = after + 1; seq <= last; ++seq)
    list.push_back({{"seq", seq}, {"time", 0}, {"data", {{"n", seq}}}});
  return {{"op", "entries"}, {"topic", "a#s"}, {"after", after}, {"first", 1},
          {"last", last},    {"end", last},    {"entries", list}};
}

}  // namespace

TEST_CASE("a command carries the token and a key of its own, and gives the result") {
  std::mutex mutex;
  std::vector<std::string> keys;
  wire::router routes;
  routes.on("POST", "/v1/actors/{key...}/commands/{name}", [&](wire::exchange& ex) -> asio::awaitable<void> {
    {
      std::lock_guard lock(mutex);
      keys.emplace_back(*ex.request().headers.find("Idempotency-Key"));
    }
    const json answer{{"key", ex.param("key")},
                      {"name", ex.param("name")},
                      {"body", json::parse(ex.request().body)},
                      {"token", *ex.request().headers.find("Authorization")}};
    co_await ex.reply(wire::response::json(200, answer.dump()));
  });
  server s(std::move(routes));
  api a(s.place());
  const auto answer = a.command("org/acme/task/t1", "task.rename", {{"title", "x"}});
  CHECK(answer == json{{"key", "org/acme/task/t1"},
                       {"name", "task.rename"},
                       {"body", {{"title", "x"}}},
                       {"token", "Bearer t0ken"}});
  a.command("org/acme", "org.x", json::object());
  a.command("org/acme", "org.x", json::object(), "mine");
  CHECK(keys[0].size() == 32);
  CHECK(keys[0] != keys[1]);
  CHECK(keys[2] == "mine");
}

TEST_CASE("what the server refuses is told in its words, with every violation") {
  wire::router routes;
  routes.on("GET", "/v1/actors/{key...}/snapshot", [](wire::exchange& ex) -> asio::awaitable<void> {
    auto answer = problem(422, "invalid_body", "the body does not fit",
                          R"([{"pointer":"/title","message":"is empty"}])");
    co_await ex.reply(std::move(answer));
  });
  server s(std::move(routes));
  api a(s.place());
  const auto why = failing([&] { a.snapshot("org/acme"); });
  CHECK(std::string(why.what()) == "the body does not fit\n  /title: is empty (invalid_body)");
  CHECK(why.exit_code() == exit_failed);
  CHECK(why.problem().at("code") == "invalid_body");
}

TEST_CASE("an answer that is not JSON is told apart from a server's no") {
  wire::router routes;
  routes.on("GET", "/v1/actors/{key...}/snapshot", [](wire::exchange& ex) -> asio::awaitable<void> {
    co_await ex.reply(wire::response::text(200, "hello"));
  });
  server s(std::move(routes));
  api a(s.place());
  CHECK(std::string(failing([&] { a.snapshot("org/acme"); }).what()).find("not JSON") != std::string::npos);
}

TEST_CASE("a server that is not there is an error that says how to get one") {
  std::string url;
  {
    server s((wire::router()));
    url = s.url;
  }
  api a({url, "", "the test"});
  const auto why = failing([&] { a.get("/v1/health"); });
  CHECK(std::string(why.what()).find(url) != std::string::npos);
  CHECK(why.hint().find("troupe serve") != std::string::npos);
}

TEST_CASE("an address that is none is a mistake of usage") {
  CHECK(failing([] { api a({"gopher://x", "", "--server"}); }).exit_code() == exit_usage);
}

TEST_CASE("a stream goes on after a lost connection where it was, without gap and repeat") {
  server s(websocket_routes({
      [](wire::websocket& ws) -> asio::awaitable<void> {
        const auto asked = co_await read(ws);
        json ok{{"op", "reply"}, {"id", asked.at("id")}, {"ok", true}};
        co_await send(ws, ok);
        auto page = entries(asked.at("after").get<std::uint64_t>(), 3);
        co_await send(ws, page);
        ws.cut();
      },
      [](wire::websocket& ws) -> asio::awaitable<void> {
        const auto asked = co_await read(ws);
        auto page = entries(asked.at("after").get<std::uint64_t>(), 5);
        co_await send(ws, page);
        (void)co_await ws.read();
      },
  }));
  live l(s.place());
  l.subscribe("a#s");
  std::vector<int> seen;
  bool lost = false;
  while (seen.size() < 5) {
    const auto frame = l.next(soon());
    REQUIRE(frame);
    if (frame->at("op") == "lost") lost = true;
    if (frame->at("op") == "entries") {
      for (const auto& one : frame->at("entries")) seen.push_back(one.at("data").at("n"));
    }
  }
  CHECK(lost);
  CHECK(seen == std::vector<int>{1, 2, 3, 4, 5});
}

TEST_CASE("a topic that is refused fails with the server's problem") {
  server s(websocket_routes({[](wire::websocket& ws) -> asio::awaitable<void> {
    const auto asked = co_await read(ws);
    json no{{"op", "reply"},
            {"id", asked.at("id")},
            {"ok", false},
            {"error", {{"status", 404}, {"code", "not_found"}, {"detail", "there is no org/none"}}}};
    co_await send(ws, no);
    (void)co_await ws.read();
  }}));
  live l(s.place());
  l.subscribe("org/none");
  const auto why = failing([&] {
    while (l.next(soon())) {
    }
  });
  CHECK(std::string(why.what()) == "there is no org/none (not_found)");
}

TEST_CASE("a connection that is refused for its token is not tried again and again") {
  std::atomic<int> tries = 0;
  wire::router routes;
  routes.on("GET", "/v1/ws", [&](wire::exchange& ex) -> asio::awaitable<void> {
    ++tries;
    auto no = problem(401, "unauthorized", "no such token");
    co_await ex.reply(std::move(no));
  });
  server s(std::move(routes));
  live l(s.place("wrong"));
  const auto why = failing([&] { l.next(soon()); });
  CHECK(std::string(why.what()).find("no such token") != std::string::npos);
  CHECK(why.hint().find("--token") != std::string::npos);
  CHECK(tries == 1);
}

TEST_CASE("a reader that does not read stops the connection from being read, and nothing is lost") {
  constexpr int frames = 2000;
  server s(websocket_routes({[](wire::websocket& ws) -> asio::awaitable<void> {
    (void)co_await read(ws);
    for (std::uint64_t i = 0; i < frames; ++i) {
      auto page = entries(i, i + 1);
      co_await send(ws, page);
    }
    (void)co_await ws.read();
  }}));
  live l(s.place());
  l.subscribe("a#s");
  int seen = 0;
  while (seen < frames) {
    const auto frame = l.next(soon());
    REQUIRE(frame);
    if (frame->at("op") == "entries") CHECK(frame->at("last") == ++seen);
  }
}

TEST_CASE("leaving while the server is away takes no time") {
  std::string url;
  {
    server s((wire::router()));
    url = s.url;
  }
  const auto began = std::chrono::steady_clock::now();
  {
    live l({url, "", "the test"});
    l.subscribe("org/a");
    CHECK_FALSE(l.next(std::chrono::steady_clock::now() + 50ms));
  }
  CHECK(std::chrono::steady_clock::now() - began < 2s);
}
