// What one client can do to the others: each test has a client that behaves beside one that does not. Slow
// readers are in gateway_test.cpp, heads and bodies that come byte by byte in tests/wire/server_test.cpp.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;
using namespace std::chrono_literals;

namespace {

const json still_there{{"op", "query"}, {"id", "still"}, {"to", "org/acme/note/n1"}, {"name", "note.read"}};

// A WebSocket that sends and never reads.
class deaf {
 public:
  explicit deaf(const served& s) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(s.at.port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    const std::string hello =
        "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer mia-token\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    REQUIRE(::send(fd_, hello.data(), hello.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(hello.size()));
    char begun[12];
    REQUIRE(::recv(fd_, begun, sizeof begun, MSG_WAITALL) == sizeof begun);
    REQUIRE(std::string_view(begun + 9, 3) == "101");
  }
  ~deaf() { ::close(fd_); }

  // False when the kernel has taken nothing for so long: the server does not read on.
  bool send(std::string_view bytes, int patience_ms) {
    while (!bytes.empty()) {
      pollfd room{fd_, POLLOUT, 0};
      if (::poll(&room, 1, patience_ms) != 1) return false;
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

 private:
  int fd_;
};

// A client's frame: masked with zeros.
std::string masked(const std::string& text) {
  std::string out{'\x81', static_cast<char>(0x80 | text.size())};
  return out + std::string(4, '\0') + text;
}

template <class Done>
bool comes_true(Done done) {
  for (const auto until = wire::clock::now() + patience; wire::clock::now() < until;
       std::this_thread::yield())
    if (done()) return true;
  return false;
}

}  // namespace

TEST_CASE(
    "a flood of small messages is read no further than its answers are taken, and others are answered") {
  served s;
  deaf flood(s);
  talker fine(s);
  const auto ping = masked(R"({"op":"ping","id":"1"})");
  std::string many;
  for (int i = 0; i < 1000; ++i) many += ping;
  std::size_t sent = 0;
  constexpr std::size_t too_much = 512u << 20;
  while (sent < too_much && flood.send(many, 2000)) sent += many.size();
  CHECK(sent < too_much);
  CHECK(fine.ask(still_there)["ok"] == true);
}

TEST_CASE("a message far over the limit is not taken in, its sender is told 1009, and others are answered") {
  served s;
  talker giant(s, "mia-token"), fine(s);
  giant.hear("hello");
  giant.say_text(std::string(64 << 20, 'x'));
  CHECK(fine.ask(still_there)["ok"] == true);
  const auto closed = giant.closed_within(patience);
  REQUIRE(closed);
  CHECK(closed->code == 1009);
}

TEST_CASE("thousands of subscriptions end with the connection that asked for them") {
  served s([](gateway::gateway_options& o) { o.limits.subscriptions = 1000; });
  for (int i = 0; i < 3; ++i)
    s.make("org.make", {{"id", "n" + std::to_string(i + 2)}}, "org/acme/note/n" + std::to_string(i + 2));
  talker fine(s);
  const auto before = s.actors->stats().subscribers;
  {
    talker greedy(s, "mia-token");
    int refused = 0;
    for (int i = 0; i < 3000; ++i) {
      // Streams of one actor under many names, so that each is a topic of its own.
      const auto topic = "org/acme/note/n" + std::to_string(i % 4 + 1) + "#s" + std::to_string(i);
      const auto r = greedy.ask({{"op", "subscribe"}, {"id", std::to_string(i)}, {"topic", topic}});
      refused += r["ok"] == false;
    }
    CHECK(refused == 3000);  // none of these streams is there, and none stays
    for (int i = 1; i <= 4; ++i) {
      const auto r = greedy.ask({{"op", "subscribe"},
                                 {"id", "t" + std::to_string(i)},
                                 {"topic", "org/acme/note/n" + std::to_string(i)}});
      CHECK(r["ok"] == true);
    }
    CHECK(s.actors->stats().subscribers == before + 4);
    CHECK(fine.ask(still_there)["ok"] == true);
  }
  CHECK(comes_true([&] { return s.actors->stats().subscribers == before; }));
}

TEST_CASE("a connection whose other end is silent is cut, and what it held is free again") {
  served s([](gateway::gateway_options& o) {
    o.limits.ping_every = 100ms;
    o.limits.silent_limit = 400ms;
    o.limits.connections_per_principal = 1;
  });
  talker fine(s);
  const auto before = s.actors->stats().subscribers;
  deaf gone(s);  // it answers no ping, as a laptop that was closed
  CHECK(gone.send(masked(R"({"op":"subscribe","id":"1","topic":"org/acme/note/n1"})"), 1000));
  CHECK(comes_true([&] { return s.actors->stats().subscribers == before + 1; }));
  CHECK(comes_true([&] { return s.actors->stats().subscribers == before; }));
  talker again(s, "mia-token");  // its place is free
  CHECK(again.ask(still_there)["ok"] == true);
  CHECK(fine.ask(still_there)["ok"] == true);
}
