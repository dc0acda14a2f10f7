#include "cli/remote_terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/failure.h"
#include "net/wire/client.h"
#include "net/wire/signal.h"

namespace troupe::cli {

namespace asio = wire::asio;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr char leaving_key = 0x1d;  // Ctrl-]
constexpr auto connect_limit = 10s;
constexpr auto reconnect_for = 60s;
constexpr auto first_pause = 200ms;
constexpr auto longest_pause = 3s;
constexpr std::size_t read_bytes = 4096;
constexpr std::size_t message_limit = 1 << 20;

// Whatever a program over there has switched on: colours, the other screen, a hidden cursor, reports of the
// mouse.
constexpr std::string_view plain_screen =
    "\x1b[0m\x1b[?1049l\x1b[?25h\x1b[?1l\x1b>\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\r\n";
constexpr std::string_view empty_screen = "\x1b[2J\x1b[H";

void show(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// Every key is passed on, Ctrl-C too, until this ends.
class raw_keys {
 public:
  raw_keys() {
    if (!::isatty(STDOUT_FILENO) || ::tcgetattr(STDIN_FILENO, &before_) != 0)
      throw misused("a shell in a sandbox needs a terminal on both sides",
                    "without one: troupe sandbox run SANDBOX -- COMMAND, and troupe sandbox log SANDBOX");
    auto raw = before_;
    ::cfmakeraw(&raw);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  }
  ~raw_keys() {
    show(plain_screen);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  raw_keys(const raw_keys&) = delete;
  raw_keys& operator=(const raw_keys&) = delete;

 private:
  termios before_{};
};

// What belongs to one look at a terminal; on one io_context, run by one thread.
struct window {
  window(const place_of_server& p, std::string path)
      : place(p),
        target(std::move(path)),
        client(io.get_executor()),
        keys(io, ::dup(STDIN_FILENO)),
        resized(io, SIGWINCH),
        told_to_end(io, SIGTERM, SIGHUP),
        pause(io.get_executor()) {}

  const place_of_server& place;
  const std::string target;
  asio::io_context io{1};
  wire::client client;
  asio::posix::stream_descriptor keys;
  asio::signal_set resized;
  asio::signal_set told_to_end;
  wire::signal pause;
  leaving_keys leaving;
  std::string early;  // typed while there is no connection; what is beyond read_bytes is lost
  wire::websocket* socket = nullptr;
  std::optional<terminal_end> end;

  void finish(terminal_end how) {
    if (!end) end = std::move(how);
    if (socket) socket->cut();
    pause.raise();
  }

  void tell_size() {
    winsize size{};
    if (!socket || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || !size.ws_col) return;
    json frame{{"type", "resize"}, {"cols", size.ws_col}, {"rows", size.ws_row}};
    socket->send(frame.dump());
  }

  void send_keys() {
    if (!socket || early.empty()) return;
    const json frame{{"type", "input"}, {"data", std::exchange(early, {})}};
    socket->send(frame.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  void watch_size() {
    resized.async_wait([this](boost::system::error_code ec, int) {
      if (ec) return;
      tell_size();
      watch_size();
    });
  }

  // The descriptor itself stays as it is: others may share it.
  asio::awaitable<void> read_keys() {
    boost::system::error_code ec;
    std::string typed;
    while (!end) {
      co_await keys.async_wait(asio::posix::stream_descriptor::wait_read,
                               asio::redirect_error(asio::use_awaitable, ec));
      if (ec) co_return;
      typed.resize(read_bytes);
      const auto n = ::read(STDIN_FILENO, typed.data(), typed.size());
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      typed.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
      const auto passed = leaving.pass(typed);
      if (early.size() + passed.size() <= read_bytes) early += passed;
      send_keys();
      if (typed.empty() || leaving.left()) finish({terminal_end::kind::left, {}, {}});
    }
  }

  // One connection, from its first frame to its end.
  asio::awaitable<void> look(wire::websocket& ws) {
    socket = &ws;
    tell_size();
    send_keys();
    while (auto message = co_await ws.read()) {
      if (!message->text) {
        show(message->data);
        continue;
      }
      const auto frame = json::parse(message->data, nullptr, false);
      if (!frame.is_object() || frame.value("type", "") != "exit") continue;
      terminal_end over{terminal_end::kind::exited, {}, {}};
      if (frame.contains("exitCode") && frame["exitCode"].is_number_integer())
        over.code = frame["exitCode"].get<int>();
      finish(std::move(over));
    }
    socket = nullptr;
    if (ws.closed().code == 4401)
      finish({terminal_end::kind::refused, {}, "you are no member of the organization any more"});
  }

  asio::awaitable<void> run(wire::endpoint to) {
    wire::websocket_options options;
    options.message_limit = message_limit;
    if (!place.token.empty()) options.extra.add("Authorization", "Bearer " + place.token);
    auto give_up = wire::clock::now() + connect_limit;
    auto wait = std::chrono::milliseconds(first_pause);
    for (bool again = false; !end;) {
      const auto deadline = wire::clock::now() + connect_limit;
      auto connected = co_await client.connect_websocket(to, target, options, deadline);
      if (connected && !end) {
        // What was said last comes again.
        if (again) show(empty_screen);
        again = true;
        wait = first_pause;
        wire::websocket ws = std::move(*connected);
        co_await look(ws);
        socket = nullptr;
        give_up = wire::clock::now() + reconnect_for;
      } else if (!connected && connected.error().kind == wire::fault::refused) {
        const auto problem = json::parse(connected.error().body, nullptr, false);
        auto why = problem.is_object() ? problem.value("detail", "") : connected.error().text;
        finish({terminal_end::kind::refused, {}, std::move(why)});
      } else if (!connected && wire::clock::now() > give_up) {
        finish({terminal_end::kind::refused,
                {},
                "no server answers at " + place.url + ": " + connected.error().text});
      }
      if (end) break;
      co_await pause.wait(wire::clock::now() + wait);
      wait = std::min<std::chrono::milliseconds>(wait * 2, longest_pause);
    }
    io.stop();
  }
};

}  // namespace

std::string leaving_keys::pass(std::string_view typed) {
  std::string out;
  for (const char c : typed) {
    if (left_) break;
    if (!std::exchange(pending_, false)) {
      if (c == leaving_key)
        pending_ = true;
      else
        out += c;
    } else if (c == 'd') {
      left_ = true;
    } else {
      out += leaving_key;
      if (c != leaving_key) out += c;
    }
  }
  return out;
}

terminal_end show_terminal(const place_of_server& place, const std::string& target) {
  std::string prefix;
  const auto to = wire::endpoint::parse(place.url, &prefix);
  if (!to) throw misused(fmt::format("{} is not the address of a server: {}", place.url, to.error().text));
  while (prefix.ends_with('/')) prefix.pop_back();
  raw_keys raw;
  auto shown = std::make_unique<window>(place, prefix + target);
  shown->watch_size();
  shown->told_to_end.async_wait([w = shown.get()](boost::system::error_code ec, int) {
    if (!ec) w->finish({terminal_end::kind::left, {}, {}});
  });
  asio::co_spawn(shown->io, shown->read_keys(), asio::detached);
  asio::co_spawn(shown->io, shown->run(*to), asio::detached);
  shown->io.run();
  return std::move(*shown->end);
}

}  // namespace troupe::cli
