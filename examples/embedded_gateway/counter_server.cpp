#include "embedded_gateway/counter_server.h"

#include <future>
#include <optional>
#include <stdexcept>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>

#include "net/gateway/gateway.h"
#include "runtime/host.h"

using namespace troupe;

namespace counters {
namespace {

constexpr storage::migration tables[] = {{1, R"(
  CREATE TABLE count (id INTEGER PRIMARY KEY CHECK (id = 1), value INTEGER NOT NULL);
  INSERT INTO count VALUES (1, 0);
)"}};

constexpr std::string_view any_object = R"({"type": "object"})";
constexpr schema_file schemas[] = {
    {"counter.open.body.json", any_object},
    {"counter.add.body.json",
     R"({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})"},
    {"counter.add.result.json", any_object},
    {"snapshot.json", any_object},
};

json snapshot(const view& v) {
  return {{"value", v.one<std::int64_t>("SELECT value FROM count").value_or(0)}};
}

answer open(turn&, const json&) {
  return done();
}

answer add(turn& t, const json& body) {
  t.run("UPDATE count SET value = value + ?", body["n"].get<std::int64_t>());
  return snapshot(t);
}

const kind counter{
    .name = "counter",
    .schema = {tables, schemas},
    .commands = {{"counter.open", from::host(), lane::interactive, open, {}, /*creates=*/true},
                 {"counter.add", from::client("member"), lane::interactive, add}},
    .snapshot = snapshot,
};

namespace asio = wire::asio;

}  // namespace

class server::impl {
 public:
  impl(const std::filesystem::path& data, std::uint16_t port)
      : actors_({.data = data, .kinds = {&counter}}),
        people_(gateway::no_authentication("you")),
        door_(std::in_place, loop_.get_executor(), actors_, *people_,
              gateway::gateway_options{.version = "1.0.0"}) {
    actors_.start();
    for (const auto* name : {"counter/apples", "counter/pears"}) {
      actors_.call_as_host(key(name), "counter.open", json::object(), "open", /*create=*/true);
    }
    const auto bound = door_->listen("127.0.0.1", port);
    if (!bound) throw std::runtime_error(bound.error().text);
    url = "http://127.0.0.1:" + std::to_string(bound->port);
    thread_ = std::thread([this] { loop_.run(); });
  }
  // Doors first, then what is behind them.
  ~impl() {
    if (thread_.joinable()) {
      auto closing = [this]() -> asio::awaitable<void> { co_await door_->stop(); };
      std::promise<void> closed;
      asio::co_spawn(loop_, closing, [&](std::exception_ptr) { closed.set_value(); });
      closed.get_future().wait();
      work_.reset();
      thread_.join();
    }
    door_.reset();
    actors_.stop();
  }

  std::string url;

 private:
  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  host actors_;
  std::unique_ptr<gateway::authenticator> people_;
  std::optional<gateway::gateway> door_;
  std::thread thread_;
};

server::server(const std::filesystem::path& data, std::uint16_t port)
    : impl_(std::make_unique<impl>(data, port)) {}
server::~server() = default;
const std::string& server::url() const {
  return impl_->url;
}

}  // namespace counters
