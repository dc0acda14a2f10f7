#include "net/wire/websocket.h"

#include <doctest/doctest.h>

#include "net/wire/signal.h"
#include "tests/wire/loop.h"

using namespace troupe::wire;
using namespace troupe::wire::testing;
using namespace std::chrono_literals;

namespace {

handler echo(websocket_options options = {}, std::function<void(const ws_close&)> ended = {}) {
  return [options, ended](exchange& ex) -> asio::awaitable<void> {
    auto socket = co_await ex.upgrade(options);
    if (!socket) co_return;
    while (auto message = co_await socket->read()) {
      if (!co_await socket->write(std::move(message->data), message->text)) break;
    }
    if (ended) ended(socket->closed());
  };
}

asio::awaitable<websocket> connect(client& c, endpoint to, websocket_options options = {},
                                   std::string target = "/") {
  auto socket = co_await c.connect_websocket(to, target, options, clock::now() + patience);
  if (!socket) throw std::runtime_error(socket.error().text);
  co_return std::move(*socket);
}

// The handshake of a client that is not ours, and frames by hand.
constexpr auto handshake =
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

std::string frame(int opcode, std::string_view payload) {
  std::string out;
  out += static_cast<char>(0x80 | opcode);
  out += static_cast<char>(0x80 | payload.size());
  out += std::string(4, '\0');  // a mask of zeros
  out += payload;
  return out;
}

}  // namespace

TEST_CASE("messages come back as they were sent, text as text and bytes as bytes") {
  served s(echo());
  loop l;
  client c(l.get_executor());
  l.run([](client& from, endpoint to) -> asio::awaitable<void> {
    auto socket = co_await connect(from, to);
    std::string large(900'000, 'x');
    CHECK(co_await socket.write(std::string("hello")));
    CHECK(co_await socket.write(std::string("\0\xff", 2), false));
    CHECK(co_await socket.write(large));
    auto one = co_await socket.read();
    auto two = co_await socket.read();
    auto three = co_await socket.read();
    REQUIRE((one && two && three));
    CHECK((one->text && one->data == "hello"));
    CHECK((!two->text && two->data == std::string("\0\xff", 2)));
    CHECK(three->data == large);
    co_await socket.close();
  }(c, s.at()));
}

TEST_CASE("a compressed connection carries the same messages") {
  websocket_options o;
  o.deflate = true;
  served s(echo(o));
  loop l;
  client c(l.get_executor());
  l.run([](client& from, endpoint to, websocket_options options) -> asio::awaitable<void> {
    auto socket = co_await connect(from, to, options);
    for (int i = 0; i < 3; ++i) {
      std::string text(100'000, static_cast<char>('a' + i));
      CHECK(co_await socket.write(text));
      auto back = co_await socket.read();
      REQUIRE(back);
      CHECK(back->data == text);
    }
  }(c, s.at(), o));
}

TEST_CASE("the server's first subprotocol that was offered is chosen") {
  websocket_options ours;
  ours.subprotocols = {"troupe.v2", "troupe.v1"};
  served s(echo(ours));
  loop l;
  client c(l.get_executor());
  auto chosen = [&](std::vector<std::string> offered) {
    websocket_options o;
    o.subprotocols = std::move(offered);
    return l.run([](client& from, endpoint to, websocket_options options) -> asio::awaitable<std::string> {
      auto socket = co_await connect(from, to, options);
      co_return socket.subprotocol();
    }(c, s.at(), o));
  };
  CHECK(chosen({"x", "troupe.v1"}) == "troupe.v1");
  CHECK(chosen({"troupe.v1", "troupe.v2"}) == "troupe.v2");
  CHECK(chosen({"x"}).empty());
  CHECK(chosen({}).empty());
}

TEST_CASE("the code and the reason of a close arrive at the other side, both ways") {
  event ended;
  ws_close seen;
  SUBCASE("the client closes") {
    served s(echo({}, [&](const ws_close& c) {
      seen = c;
      ended.set();
    }));
    loop l;
    client c(l.get_executor());
    l.run([](client& from, endpoint to) -> asio::awaitable<void> {
      auto socket = co_await connect(from, to);
      co_await socket.close(4001, "bye");
      CHECK(!socket.open());
      CHECK(!co_await socket.write(std::string("late")));
    }(c, s.at()));
    REQUIRE(ended.wait());
    CHECK(seen.code == 4001);
    CHECK(seen.reason == "bye");
  }
  SUBCASE("the server closes") {
    served s([](exchange& ex) -> asio::awaitable<void> {
      websocket_options o;
      auto socket = co_await ex.upgrade(o);
      if (!socket) co_return;
      // What is queued goes out before the close.
      socket->send(std::string("last words"));
      co_await socket->close(4401, "revoked" + std::string(200, '!'));
    });
    loop l;
    client c(l.get_executor());
    l.run([](client& from, endpoint to) -> asio::awaitable<void> {
      auto socket = co_await connect(from, to);
      auto words = co_await socket.read();
      REQUIRE(words);
      CHECK(words->data == "last words");
      CHECK(!co_await socket.read());
      CHECK(socket.closed().code == 4401);
      CHECK(socket.closed().reason.starts_with("revoked!"));
      CHECK(socket.closed().reason.size() == 123);
    }(c, s.at()));
  }
}

TEST_CASE("a message over the limit closes with 1009, one that is not UTF-8 with 1007") {
  websocket_options small;
  small.message_limit = 1000;
  event ended;
  ws_close seen;
  served s(echo(small, [&](const ws_close& c) {
    seen = c;
    ended.set();
  }));
  loop l;
  client c(l.get_executor());
  auto sent = [&](std::string message) {
    return l.run([](client& from, endpoint to, std::string text) -> asio::awaitable<int> {
      auto socket = co_await connect(from, to);
      co_await socket.write(std::string(1000, 'x'));
      CHECK(co_await socket.read());
      co_await socket.write(std::move(text));
      CHECK(!co_await socket.read());
      co_return socket.closed().code;
    }(c, s.at(), std::move(message)));
  };
  SUBCASE("too long") {
    CHECK(sent(std::string(1001, 'x')) == close_too_big);
    REQUIRE(ended.wait());
    CHECK(seen.code == close_too_big);
  }
  SUBCASE("not UTF-8") {
    CHECK(sent("\xff\xfe") == close_bad_utf8);
    REQUIRE(ended.wait());
    CHECK(seen.code == close_bad_utf8);
  }
}

TEST_CASE("a silent peer is cut, one that answers pings is not") {
  websocket_options quick;
  quick.ping_every = 40ms;
  quick.silent_limit = 200ms;
  event ended;
  served s(echo(quick, [&](const ws_close&) { ended.set(); }));
  SUBCASE("silent") {
    raw_socket c(s.port);
    c.send(handshake);
    CHECK(c.read_until("\r\n\r\n").starts_with("HTTP/1.1 101"));
    CHECK(c.read_until("\x89").ends_with("\x89"));  // a ping came
    CHECK(ended.wait());
    CHECK(c.ended());
  }
  SUBCASE("alive") {
    loop l;
    client c(l.get_executor());
    l.run([](client& from, endpoint to) -> asio::awaitable<void> {
      auto socket = co_await connect(from, to);
      asio::steady_timer later(socket.get_executor());
      later.expires_after(600ms);
      later.async_wait([&](const auto&) { socket.send(std::string("still here")); });
      auto back = co_await socket.read();  // answers pings meanwhile
      REQUIRE(back);
      CHECK(back->data == "still here");
    }(c, s.at()));
  }
}

TEST_CASE("a peer that does not read is cut after the write limit, and its queue is bounded") {
  websocket_options quick;
  quick.write_limit = 200ms;
  quick.queue_messages = 4;
  event over;
  bool refused = false;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    auto socket = co_await ex.upgrade(quick);
    if (!socket) co_return;
    auto block = std::make_shared<const std::string>(4 << 20, 'x');
    for (int i = 0; i < 10; ++i) refused = !socket->send(block) || refused;
    CHECK(socket->queued_messages() <= 5);
    while (co_await socket->write(block)) {
    }
    over.set();
  });
  raw_socket c(s.port);
  c.shrink_receive_buffer();
  c.send(handshake);
  CHECK(over.wait());
  CHECK(refused);
}

TEST_CASE("an ordinary request to a WebSocket address is answered 426") {
  served s(echo());
  auto answer = get(s, "/");
  CHECK(answer.status == 426);
  CHECK(answer.headers.find("Upgrade") == "websocket");
}

TEST_CASE("a refused handshake gives the status and the body to the client") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    CHECK(ex.upgrade_requested());
    problem p;
    p.status = 401;
    p.code = "unauthorized";
    co_await ex.reply(p.to_response());
  });
  loop l;
  client c(l.get_executor());
  l.run([](client& from, endpoint to) -> asio::awaitable<void> {
    websocket_options o;
    auto socket = co_await from.connect_websocket(to, "/x?token=secret", o, clock::now() + patience);
    REQUIRE(!socket);
    CHECK(socket.error().kind == fault::refused);
    CHECK(socket.error().status == 401);
    CHECK(socket.error().body.find("unauthorized") != std::string::npos);
    CHECK(socket.error().text.find("secret") == std::string::npos);
  }(c, s.at()));
}

TEST_CASE("bytes sent before the handshake is answered are refused") {
  served s(echo());
  raw_socket c(s.port);
  c.send(handshake + frame(1, "too early"));
  CHECK(c.read_to_end().starts_with("HTTP/1.1 400"));
}

TEST_CASE("a frame that breaks the protocol closes with 1002") {
  served s(echo());
  raw_socket c(s.port);
  c.send(handshake);
  c.read_until("\r\n\r\n");
  c.send(frame(3, "x"));
  auto answer = c.read_to_end();
  REQUIRE(answer.size() >= 4);
  CHECK(answer[0] == '\x88');
  CHECK((static_cast<unsigned char>(answer[2]) << 8 | static_cast<unsigned char>(answer[3])) ==
        close_protocol_error);
}

TEST_CASE("stopping the server closes websockets with 1001") {
  event ended;
  served s(echo({}, [&](const ws_close&) { ended.set(); }));
  loop l;
  client c(l.get_executor());
  l.run([](client& from, served& server) -> asio::awaitable<void> {
    auto socket = co_await connect(from, server.at());
    co_await socket.write(std::string("x"));
    CHECK(co_await socket.read());
    std::thread stopper([&] { server.stop(10s); });
    CHECK(!co_await socket.read());
    CHECK(socket.closed().code == close_going_away);
    stopper.join();
  }(c, s));
  CHECK(ended.wait(0ms));
}

TEST_CASE("many writers on one websocket never mix their messages") {
  served s(echo());
  loop l;
  client c(l.get_executor());
  l.run([](client& from, endpoint to) -> asio::awaitable<void> {
    auto socket = co_await connect(from, to);
    constexpr int writers = 8, each = 20;
    for (int w = 0; w < writers; ++w) {
      asio::co_spawn(
          socket.get_executor(),
          [&socket, w]() -> asio::awaitable<void> {
            for (int i = 0; i < each; ++i)
              co_await socket.write(
                  std::string(static_cast<std::size_t>(1000 * (w + 1)), static_cast<char>('a' + w)));
          },
          asio::detached);
    }
    for (int i = 0; i < writers * each; ++i) {
      auto message = co_await socket.read();
      REQUIRE(message);
      auto first = message->data.front();
      CHECK(message->data.size() == static_cast<std::size_t>(1000 * (first - 'a' + 1)));
      CHECK(message->data.find_first_not_of(first) == std::string::npos);
    }
  }(c, s.at()));
}
