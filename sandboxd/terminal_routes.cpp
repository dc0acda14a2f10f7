// GET /v1/processes/{id}/terminal/ws: a terminal shared by everybody who looks at it.
#include <cerrno>
#include <deque>

#include "sandboxd/contract.h"
#include "sandboxd/daemon.h"
#include "sandboxd/reading.h"

namespace troupe::sandboxd {
namespace {

namespace asio = wire::asio;
using nlohmann::json;

// With `?replay=true`: what is sent of the output before now, at most.
constexpr std::uint64_t replay_bytes = 64 * 1024;

struct viewer {
  viewer(wire::websocket s, std::shared_ptr<process> p) : socket(std::move(s)), shown(std::move(p)) {}
  wire::websocket socket;
  std::shared_ptr<process> shown;
  bool over = false;
  std::uint64_t max_input = 0;
};
using viewer_ptr = std::shared_ptr<viewer>;

void complain(const viewer_ptr& v, std::string message) {
  json out;
  out["type"] = "error";
  out["message"] = std::move(message);
  v->socket.send(out.dump(-1, ' ', false, json::error_handler_t::replace));
}

// False: the viewer wants to leave.
asio::awaitable<bool> obey(viewer_ptr v, wire::ws_message m) {
  if (!m.text) {
    complain(v, "binary input is not supported; use text JSON frames");
    co_return true;
  }
  auto frame = json::parse(m.data, nullptr, false);
  auto type = frame.is_object() && frame.contains("type") && frame["type"].is_string()
                  ? frame["type"].get<std::string>()
                  : std::string();
  auto number = [&](const char* name) -> std::optional<std::uint16_t> {
    auto at = frame.find(name);
    if (at == frame.end() || !at->is_number_unsigned() || at->get<std::uint64_t>() > UINT16_MAX)
      return std::nullopt;
    return static_cast<std::uint16_t>(at->get<std::uint64_t>());
  };
  if (type == "close") co_return false;
  if (type == "resize" && number("cols") && number("rows")) {
    if (auto done = v->shown->resize(*number("cols"), *number("rows")); !done)
      complain(v, contract::os_text(done.error().number));
    co_return true;
  }
  if (type == "input" && frame.contains("data") && frame["data"].is_string()) {
    auto data = frame["data"].get<std::string>();
    auto encoding = frame.contains("encoding") && frame["encoding"].is_string()
                        ? frame["encoding"].get<std::string>()
                        : std::string("utf8");
    if (encoding == "base64") {
      auto bytes = from_base64(data);
      if (!bytes) {
        complain(v, "invalid base64 data");
        co_return true;
      }
      data = std::move(*bytes);
    } else if (encoding != "utf8" && encoding != "text") {
      complain(v, "encoding must be one of: base64, utf8, text");
      co_return true;
    }
    if (data.size() > v->max_input) {
      complain(v, "input payload exceeds maxInputBytesPerRequest (" + std::to_string(v->max_input) + ")");
      co_return true;
    }
    auto written = co_await v->shown->input(std::move(data));
    if (!written)
      complain(v, written.error().number == EAGAIN ? "the process does not read" : "process is not running");
    co_return true;
  }
  complain(v, "invalid terminal frame: expected input with data, resize with cols and rows, or close");
  co_return true;
}

asio::awaitable<void> listen(viewer_ptr v, wire::signal changed) {
  for (;;) {
    auto message = co_await v->socket.read();
    if (!message || v->over) break;
    if (!co_await obey(v, std::move(*message))) break;
  }
  v->over = true;
  changed.raise();
}

std::uint64_t replay_from(spool& from, bool replay) {
  if (!replay) return from.last();
  std::uint64_t total = 0;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> sizes;
  spool::cursor at(from);
  for (;;) {
    auto record = at.next();
    if (!record || !record.value()) break;
    sizes.emplace_back(record.value()->sequence, record.value()->bytes.size());
    total += sizes.back().second;
    while (total > replay_bytes && sizes.size() > 1) {
      total -= sizes.front().second;
      sizes.pop_front();
    }
  }
  return sizes.empty() ? from.last() : sizes.front().first - 1;
}

asio::awaitable<void> attach(daemon_ptr d, wire::exchange& x) {
  auto p = d->find_process(x.param("id"));
  std::optional<wire::response> refusal;
  if (!x.upgrade_requested())
    refusal = wire::response::text(400, "Connection header did not include 'upgrade'");
  else if (!p)
    refusal = contract::not_found("process", x.param("id"));
  else if (!p->what().terminal)
    refusal = contract::conflict("process is not running in tty mode");
  if (refusal) {
    co_await d->out.reply(x, std::move(*refusal));
    co_return;
  }
  bool replay = query_reader(x.request()).optional_text("replay") == "true";
  wire::websocket_options options;
  options.message_limit = max_json_body_bytes;
  auto socket = co_await x.upgrade(std::move(options));
  if (!socket) co_return;
  auto v = std::make_shared<viewer>(std::move(*socket), p);
  v->max_input = d->config.max_input_bytes;
  wire::signal changed(d->ex);
  x.on_gone([changed] { changed.raise(); });
  auto& spool = p->spool();
  // Reads at the viewer's own pace; one that is slower than the ring misses some.
  sandboxd::spool::cursor at(spool, replay_from(spool, replay));
  auto watcher = spool.watch(changed);
  json ready;
  ready["type"] = "ready";
  ready["processId"] = p->what().id;
  bool alive = co_await v->socket.write(ready.dump());
  asio::co_spawn(x.get_executor(), listen(v, changed), asio::detached);
  while (alive && !v->over && !x.stopping() && !p->removed()) {
    auto record = at.next();
    if (record && record.value()) {
      alive = co_await v->socket.write(std::move(record.value()->bytes), false);
      continue;
    }
    if (p->silent()) {
      json exit;
      exit["type"] = "exit";
      exit["exitCode"] = p->how().code ? json(*p->how().code) : json();
      co_await v->socket.write(exit.dump());
      break;
    }
    // The exit is told when the output is complete; a descendant that keeps the terminal open delays it a
    // little only.
    auto until = p->running() ? wire::time_point::max() : wire::clock::now() + std::chrono::milliseconds(200);
    if (!co_await changed.wait(until) && !p->running()) p->hang_up();
  }
  spool.unwatch(watcher);
  v->over = true;
  co_await v->socket.close(wire::close_none);
}

}  // namespace

void add_terminal_routes(wire::router& to, daemon_ptr d) {
  to.on("GET", "/v1/processes/{id}/terminal/ws", [d](wire::exchange& x) { return attach(d, x); });
}

}  // namespace troupe::sandboxd
