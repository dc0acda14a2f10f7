#include "bench/fan/servers.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>

#include "bench/counter.h"
#include "net/gateway/gateway.h"
#include "runtime/host.h"
#include "runtime/tables.h"

namespace troupe::bench {

namespace {

namespace asio = wire::asio;

constexpr unsigned network_threads = 4;  // as `troupe serve` has

constexpr storage::migration board_tables[] = {{1,
                                                "CREATE TABLE board(id INTEGER PRIMARY KEY CHECK (id = 1), n "
                                                "INTEGER NOT NULL); INSERT INTO board VALUES(1, 0)"}};
constexpr std::string_view any_object = R"({"type":"object"})";
constexpr schema_file board_files[] = {{"board.open.body.json", any_object},
                                       {"board.post.body.json", any_object},
                                       {"board.post.result.json", any_object},
                                       {"board.open.result.json", any_object},
                                       {"snapshot.json", any_object}};

answer open_board(turn&, const json&) {
  return done();
}

answer post(turn& t, const json&) {
  t.run("UPDATE board SET n = n + 1");
  return done();
}

json board_snapshot(const view& v) {
  return json::parse(
      snapshot_text(static_cast<std::uint64_t>(v.one<std::int64_t>("SELECT n FROM board").value_or(0))));
}

const kind board{.name = "board",
                 .schema = {board_tables, board_files},
                 .commands = {{"board.open", from::host(), lane::interactive, open_board, {}, true},
                              {"board.post", from::client("member"), lane::interactive, post}},
                 .snapshot = board_snapshot};

void say_port(unsigned port) {
  std::printf("%u\n", port);
  std::fflush(stdout);
}

void for_each_byte(const std::function<void()>& f) {
  std::array<char, 64> some;
  for (;;) {
    const auto n = ::read(STDIN_FILENO, some.data(), some.size());
    if (n <= 0) return;
    for (ssize_t i = 0; i < n; ++i) f();
  }
}

}  // namespace

std::string snapshot_text(std::uint64_t n) {
  std::string text = "{\"n\":" + std::to_string(n) + ",\"text\":\"";
  text.append(snapshot_bytes - text.size() - 2, 'x');
  return text + "\"}";
}

std::string frame_text(std::uint64_t n) {
  return R"({"op":"snapshot","topic":"board/b","incarnation":"0123456789abcdef0123456789abcdef","revision":)" +
         std::to_string(n) + ",\"data\":" + snapshot_text(n) + "}";
}

void serve_troupe(const std::filesystem::path& data) {
  host actors({.data = data, .kinds = {&board, &counter()}});
  actors.start();
  actors.call_as_host(key("board/b"), "board.open", json::object(), "open", true);
  actors.call_as_host(key("counter/c0"), "counter.open", json::object(), "open", true);
  asio::io_context loop;
  auto work = asio::make_work_guard(loop);
  auto people = gateway::no_authentication("bench");
  gateway::gateway_options options{.version = "0"};
  options.limits.connections = options.limits.connections_per_principal = 100'000;
  gateway::gateway door(loop.get_executor(), actors, *people, options);
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < network_threads; ++i) threads.emplace_back([&] { loop.run(); });
  const auto bound = door.listen("127.0.0.1", 0);
  if (!bound) throw std::runtime_error(bound.error().text);
  say_port(bound->port);
  std::uint64_t n = 0;
  for_each_byte([&] {
    actors.command({.to = key("board/b"),
                    .id = "b-" + std::to_string(++n),
                    .name = "board.post",
                    .body = json::object(),
                    .principal = "bench"},
                   [](const reply& r) {
                     if (!r.ok()) std::fprintf(stderr, "not committed: %s\n", r.error().detail.c_str());
                   });
  });
  asio::co_spawn(loop, door.stop(std::chrono::seconds(5)), asio::use_future).get();
  actors.stop();
  work.reset();
}

void serve_plain() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&at), size) != 0 ||
      ::listen(listener, SOMAXCONN) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size) != 0)
    throw std::runtime_error("the plain loop could not listen");
  say_port(ntohs(at.sin_port));

  std::vector<int> all;
  std::uint64_t n = 0;
  // A text frame: its length takes two bytes.
  const auto framed = [&] {
    const auto text = frame_text(n);
    return std::string{'\x81', '\x7e', static_cast<char>(text.size() >> 8), static_cast<char>(text.size())} +
           text;
  };
  const auto send = [](int fd, const std::string& bytes) {
    // The asker keeps what is under way far below a socket's buffer, so that this never waits.
    (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  };
  std::array<pollfd, 2> wanted{{{STDIN_FILENO, POLLIN, 0}, {listener, POLLIN, 0}}};
  for (;;) {
    ::poll(wanted.data(), wanted.size(), -1);
    if (wanted[1].revents) {
      const int fd = ::accept(listener, nullptr, nullptr);
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      std::array<char, 2048> head;  // small, and sent at once
      (void)!::recv(fd, head.data(), head.size(), 0);
      send(fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" +
                   framed());
      all.push_back(fd);
    }
    if (!wanted[0].revents) continue;
    char asked = 0;
    if (::read(STDIN_FILENO, &asked, 1) != 1) break;
    ++n;
    const auto bytes = framed();
    for (const int fd : all) send(fd, bytes);
  }
}

}  // namespace troupe::bench
