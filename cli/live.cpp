#include "cli/live.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "cli/api.h"
#include "cli/failure.h"
#include "net/wire/client.h"
#include "net/wire/signal.h"

namespace troupe::cli {

namespace asio = wire::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto first_pause = 200ms;
constexpr auto longest_pause = 3s;
constexpr auto connect_limit = 10s;
constexpr auto look_again = 30ms;
constexpr std::size_t frame_limit = 64u << 20;

}  // namespace

struct live::impl {
  struct topic {
    std::uint64_t after = 0;
    bool stream = false;
    wire::clock::time_point appears_until = {};
  };

  place_of_server place;
  wire::endpoint to;
  std::string prefix;

  asio::io_context io;
  wire::client client{io.get_executor()};
  std::thread thread;

  // Guarded by `mutex`; `fd` is readable while `frames` or `broken` is not empty.
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<json> frames;
  std::optional<failure> broken;
  std::map<std::string, topic> topics;
  bool stopping = false;
  int fd = -1;

  // Only on the io thread.
  wire::websocket* socket = nullptr;
  wire::signal drained{io.get_executor()};
  std::uint64_t next_request = 0;
  std::map<std::string, std::string> asked;  // request id → topic

  ~impl() {
    if (fd >= 0) ::close(fd);
  }

  void push(json frame) {
    std::lock_guard lock(mutex);
    frames.push_back(std::move(frame));
    wake();
  }

  void fail(failure why) {
    std::lock_guard lock(mutex);
    if (!broken) broken = std::move(why);
    wake();
  }

  void wake() {
    const std::uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
    changed.notify_all();
  }

  std::string subscribe_frame(const std::string& name, const topic& t) {
    const auto id = std::to_string(++next_request);
    asked[id] = name;
    json frame{{"op", "subscribe"}, {"id", id}, {"topic", name}};
    if (t.stream) {
      frame["after"] = t.after;
    } else {
      frame["mode"] = "snapshot";
    }
    return frame.dump();
  }

  /// False: the connection is of no further use and was reported.
  bool take(json frame) {
    const auto op = frame.value("op", "");
    if (op == "reply") {
      const auto at = asked.find(frame.value("id", ""));
      if (at == asked.end()) return true;
      const auto name = at->second;
      asked.erase(at);
      if (frame.value("ok", false)) return true;
      const auto problem = frame.value("error", json::object());
      if (problem.value("status", 0) == 404 && wire::clock::now() < appears_until(name)) {
        asio::co_spawn(io, ask_again(name), asio::detached);
        return true;
      }
      fail(refused(problem));
      return false;
    }
    if (op == "entries" || op == "reset") {
      std::lock_guard lock(mutex);
      const auto at = topics.find(frame.value("topic", ""));
      if (at == topics.end()) return true;
      at->second.after = op == "reset" ? frame.value("first", std::uint64_t{1}) - 1
                                       : std::max(at->second.after, frame.value("last", std::uint64_t{0}));
    }
    if (op == "snapshot" || op == "entries" || op == "reset" || op == "gone" || op == "hello")
      push(std::move(frame));
    return true;
  }

  wire::clock::time_point appears_until(const std::string& name) {
    std::lock_guard lock(mutex);
    const auto at = topics.find(name);
    return at == topics.end() ? wire::clock::time_point() : at->second.appears_until;
  }

  asio::awaitable<void> ask_again(std::string name) {
    co_await wire::sleep_for(look_again);
    std::optional<topic> wanted;
    {
      std::lock_guard lock(mutex);
      if (const auto at = topics.find(name); at != topics.end() && !stopping) wanted = at->second;
    }
    if (wanted && socket) socket->send(subscribe_frame(name, *wanted));
  }

  asio::awaitable<void> run() {
    wire::websocket_options options;
    options.subprotocols = {"troupe.v1"};
    options.message_limit = frame_limit;
    options.deflate = true;
    if (!place.token.empty()) options.extra.add("Authorization", "Bearer " + place.token);

    auto pause = std::chrono::milliseconds(first_pause);
    auto give_up = wire::clock::now() + connect_limit;
    while (!stopped()) {
      const auto target = prefix + "/v1/ws";
      const auto deadline = wire::clock::now() + connect_limit;
      auto connected = co_await client.connect_websocket(to, target, options, deadline);
      if (connected) {
        pause = first_pause;
        wire::websocket ws = std::move(*connected);
        co_await serve(ws);
        socket = nullptr;
        if (stopped()) co_return;
        if (const auto& end = ws.closed(); end.code == 4401 || end.code == 4403) {
          fail(failure(fmt::format("the server at {} ended the connection: {}", place.url, end.reason),
                       "sign in again, or give another --token"));
          co_return;
        }
        json lost{{"op", "lost"}, {"why", ws.closed().reason}};
        push(std::move(lost));
        give_up = wire::clock::now() + reconnect_for;
      } else {
        const auto& why = connected.error();
        if (why.kind == wire::fault::refused) {
          const auto problem = json::parse(why.body, nullptr, false);
          fail(problem.is_object() ? refused(problem) : failure(why.text));
          co_return;
        }
        if (wire::clock::now() > give_up) {
          fail(failure(fmt::format("no server answers at {} (from {}): {}", place.url, place.from, why.text),
                       "start one with `troupe serve`, or name another with --server or TROUPE_SERVER"));
          co_return;
        }
      }
      co_await drained.wait(wire::clock::now() + pause);
      pause = std::min<std::chrono::milliseconds>(pause * 2, longest_pause);
    }
  }

  bool stopped() {
    std::lock_guard lock(mutex);
    return stopping;
  }

  asio::awaitable<void> serve(wire::websocket& ws) {
    asked.clear();
    socket = &ws;
    std::map<std::string, topic> wanted;
    {
      std::lock_guard lock(mutex);
      wanted = topics;
    }
    for (const auto& [name, t] : wanted) {
      if (!ws.send(subscribe_frame(name, t))) co_return;
    }
    while (true) {
      auto message = co_await ws.read();
      if (!message) co_return;
      auto frame = json::parse(message->data, nullptr, false);
      if (frame.is_object() && !take(std::move(frame))) co_return;
      while (crowded()) co_await drained.wait(wire::clock::now() + 1s);
    }
  }

  bool crowded() {
    std::lock_guard lock(mutex);
    return frames.size() >= max_waiting && !stopping;
  }
};

live::live(place_of_server place) : impl_(std::make_shared<impl>()) {
  auto parsed = wire::endpoint::parse(place.url, &impl_->prefix);
  if (!parsed)
    throw misused(fmt::format("{} is not the address of a server: {}", place.url, parsed.error().text));
  impl_->to = *parsed;
  impl_->place = std::move(place);
  while (impl_->prefix.ends_with('/')) impl_->prefix.pop_back();
  impl_->fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (impl_->fd < 0) throw failure("out of file descriptors");
  auto state = impl_;
  asio::co_spawn(state->io, state->run(), asio::detached);
  state->thread = std::thread([state = state.get()] { state->io.run(); });
}

live::~live() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  // The process is about to end or to watch something else: nobody waits for a closing handshake.
  asio::post(impl_->io, [state = impl_.get()] {
    if (state->socket) state->socket->cut();
    state->drained.raise();
    state->client.close();
  });
  impl_->thread.join();
}

void live::subscribe(std::string name, std::uint64_t after, std::chrono::milliseconds appears_within) {
  const impl::topic t{after, name.find('#') != std::string::npos, wire::clock::now() + appears_within};
  {
    std::lock_guard lock(impl_->mutex);
    impl_->topics[name] = t;
  }
  asio::post(impl_->io, [state = impl_.get(), name = std::move(name), t] {
    const bool asked = std::ranges::any_of(state->asked, [&](const auto& a) { return a.second == name; });
    if (state->socket && !asked) state->socket->send(state->subscribe_frame(name, t));
  });
}

void live::unsubscribe(const std::string& name) {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->topics.erase(name);
  }
  asio::post(impl_->io, [state = impl_.get(), name] {
    if (!state->socket) return;
    const auto id = std::to_string(++state->next_request);
    state->socket->send(json{{"op", "unsubscribe"}, {"id", id}, {"topic", name}}.dump());
  });
}

std::optional<json> live::next(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_until(lock, until, [&] { return !impl_->frames.empty() || impl_->broken; });
  if (!impl_->frames.empty()) {
    auto frame = std::move(impl_->frames.front());
    impl_->frames.pop_front();
    if (impl_->frames.size() == max_waiting / 2) impl_->drained.raise();
    if (impl_->frames.empty() && !impl_->broken) {
      std::uint64_t count = 0;
      (void)!::read(impl_->fd, &count, sizeof count);
    }
    return frame;
  }
  if (impl_->broken) throw *impl_->broken;
  return {};
}

int live::descriptor() const {
  return impl_->fd;
}

}  // namespace troupe::cli
