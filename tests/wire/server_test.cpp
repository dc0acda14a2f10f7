#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include <doctest/doctest.h>

#include "net/wire/signal.h"
#include "tests/wire/loop.h"

using namespace troupe::wire;
using namespace troupe::wire::testing;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> echo(exchange& ex) {
  auto& r = ex.request();
  co_await ex.reply(response::text(200, r.method + " " + r.path + " " + r.body));
}

int status_of(const std::string& answer) {
  return answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0;
}

std::string head(std::string_view line, std::string_view more = "") {
  return std::string(line) + "\r\nHost: x\r\n" + std::string(more) + "\r\n";
}

struct folder {
  folder() : path(std::filesystem::temp_directory_path() / ("wire-test-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

}  // namespace

TEST_CASE("a request is answered with what its handler made of it") {
  served s(echo);
  request r;
  r.method = "POST";
  r.target = "/a%20b?x=1";
  r.body = "hello";
  auto answer = fetch(s.at(), r);
  CHECK(answer.status == 200);
  CHECK(answer.bytes() == "POST /a b hello");
  CHECK(answer.headers.find("content-type") == "text/plain; charset=utf-8");
}

TEST_CASE("one connection serves many requests, and Connection: close ends it") {
  served s(echo);
  raw_socket c(s.port);
  for (int i = 0; i < 3; ++i) {
    c.send(head("GET /" + std::to_string(i) + " HTTP/1.1"));
    CHECK(c.read_until("GET /" + std::to_string(i) + " ").starts_with("HTTP/1.1 200 OK"));
  }
  CHECK(s.server->connections() == 1);
  c.send(head("GET /last HTTP/1.1", "Connection: close\r\n"));
  auto last = c.read_to_end();
  CHECK(last.find("Connection: close") != std::string::npos);
  CHECK(last.ends_with("GET /last "));
}

TEST_CASE("pipelined requests are answered in order") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    // The first takes longest; its answer still goes first.
    if (ex.request().path == "/1") co_await sleep_for(50ms);
    co_await ex.reply(response::text(200, "<" + ex.request().path + ex.request().body + ">"));
  });
  raw_socket c(s.port);
  c.send(head("GET /1 HTTP/1.1") + head("POST /2 HTTP/1.1", "Content-Length: 3\r\n") + "abc" +
         head("GET /3 HTTP/1.1", "Connection: close\r\n"));
  auto all = c.read_to_end();
  auto one = all.find("</1>"), two = all.find("</2abc>"), three = all.find("</3>");
  CHECK(one < two);
  CHECK(two < three);
  CHECK(three != std::string::npos);
}

TEST_CASE("a peer that closes its sending half still gets its answer") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    co_await sleep_for(50ms);
    co_await ex.reply(response::text(200, "late but there"));
  });
  raw_socket c(s.port);
  c.send(head("GET / HTTP/1.1"));
  c.half_close();
  CHECK(c.read_to_end().ends_with("late but there"));
}

TEST_CASE("HEAD has the length of the body and no body") {
  served s(echo);
  raw_socket c(s.port);
  c.send(head("HEAD /x HTTP/1.1", "Connection: close\r\n"));
  auto answer = c.read_to_end();
  CHECK(answer.find("Content-Length: 8\r\n") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\n"));
}

TEST_CASE("a chunked request body arrives whole") {
  served s(echo);
  raw_socket c(s.port);
  c.send(head("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nConnection: close\r\n"));
  c.send("5\r\nhello\r\n");
  c.send("1;ext=1\r\n \r\n5\r\nwor");
  c.send("ld\r\n0\r\nTrailer: x\r\n\r\n");
  CHECK(c.read_to_end().ends_with("POST / hello world"));
}

TEST_CASE("a body over the limit is refused with 413 before it is read") {
  server_options o;
  o.body_bytes = 1000;
  served s(echo, o);
  SUBCASE("when its length is stated") {
    raw_socket c(s.port);
    c.send(head("POST / HTTP/1.1", "Content-Length: 1001\r\n"));
    CHECK(status_of(c.read_to_end()) == 413);
  }
  SUBCASE("when it comes in chunks") {
    raw_socket c(s.port);
    c.send(head("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n"));
    std::string thousand(1000, 'x');
    c.send("3e8\r\n" + thousand + "\r\n1\r\nx\r\n0\r\n\r\n");
    CHECK(status_of(c.read_to_end()) == 413);
  }
  SUBCASE("but exactly the limit is taken") {
    raw_socket c(s.port);
    c.send(head("POST / HTTP/1.1", "Content-Length: 1000\r\nConnection: close\r\n") + std::string(1000, 'x'));
    CHECK(status_of(c.read_to_end()) == 200);
  }
}

TEST_CASE("a route may take a larger body than the others") {
  service what{echo};
  what.body = [](const request& r, std::size_t usual) {
    return body_rule{r.path == "/large" ? 100'000 : usual, false};
  };
  server_options o;
  o.body_bytes = 10;
  served s(what, o);
  request r;
  r.method = "PUT";
  r.body = std::string(50'000, 'x');
  r.target = "/large";
  CHECK(fetch(s.at(), r).status == 200);
  r.target = "/small";
  CHECK(fetch(s.at(), r).status == 413);
}

TEST_CASE("100-continue is sent before the body, and not for a body that is refused") {
  server_options o;
  o.body_bytes = 10;
  served s(echo, o);
  raw_socket c(s.port);
  c.send(head("POST / HTTP/1.1", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
  CHECK(c.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  c.send("hello");
  CHECK(status_of(c.read_until("hello")) == 200);
  c.send(head("POST / HTTP/1.1", "Content-Length: 11\r\nExpect: 100-continue\r\n"));
  CHECK(status_of(c.read_to_end()) == 413);
}

TEST_CASE("a head over the limit is refused with 431, a long target with 414") {
  server_options o;
  o.header_bytes = 4096;
  o.target_bytes = 1000;
  served s(echo, o);
  raw_socket c(s.port);
  c.send(head("GET / HTTP/1.1", "X: " + std::string(5000, 'x') + "\r\n"));
  CHECK(status_of(c.read_to_end()) == 431);
  raw_socket d(s.port);
  d.send(head("GET /" + std::string(2000, 'x') + " HTTP/1.1"));
  CHECK(status_of(d.read_to_end()) == 414);
}

TEST_CASE("a peer that sends its head byte by byte gets 408 when its time is over") {
  server_options o;
  o.header_limit = 200ms;
  served s(echo, o);
  raw_socket c(s.port);
  std::atomic<bool> done = false;
  std::thread slow([&] {
    for (char byte : head("GET / HTTP/1.1", "X: " + std::string(1000, 'x') + "\r\n")) {
      if (done) return;
      c.send(std::string_view(&byte, 1));
      std::this_thread::sleep_for(5ms);
    }
  });
  auto answer = c.read_until("\r\n\r\n");
  done = true;
  slow.join();
  CHECK(status_of(answer) == 408);
  CHECK(s.server->requests() == 0);
}

TEST_CASE("a body that stops coming gets 408") {
  server_options o;
  o.body_limit = 100ms;
  served s(echo, o);
  raw_socket c(s.port);
  c.send(head("POST / HTTP/1.1", "Content-Length: 10\r\n") + "abc");
  CHECK(status_of(c.read_to_end()) == 408);
}

TEST_CASE("an idle connection is closed after its time, without a word") {
  server_options o;
  o.idle_limit = 100ms;
  served s(echo, o);
  raw_socket c(s.port);
  CHECK(c.read_to_end().empty());
}

TEST_CASE("what is not HTTP/1.1 is refused in words") {
  served s(echo);
  auto ask = [&](const std::string& bytes) {
    raw_socket c(s.port);
    c.send(bytes);
    c.half_close();
    return status_of(c.read_to_end());
  };
  CHECK(ask("garbage\r\n\r\n") == 400);
  CHECK(ask("GET / HTTP/1.1\r\n\r\n") == 400);                        // no Host
  CHECK(ask("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == 400);  // two
  CHECK(ask(head("GET /%zz HTTP/1.1")) == 400);
  CHECK(ask(head("GET /%00 HTTP/1.1")) == 400);
  CHECK(ask(head("GET http HTTP/1.1")) == 400);
  CHECK(ask(head("GET / HTTP/3.0")) == 505);
  CHECK(ask(head("POST / HTTP/1.1", "Transfer-Encoding: gzip\r\n")) == 501);
  CHECK(ask(head("POST / HTTP/1.1", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")) == 400);
  CHECK(ask(head("POST / HTTP/1.1", "Content-Length: 1\r\nContent-Length: 2\r\n")) == 400);
  CHECK(ask(head("POST / HTTP/1.1", "Expect: gold\r\n")) == 417);
  CHECK(get(s, "/").status == 200);
}

TEST_CASE("a stream goes out in chunks as it is written") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    headers fields{{"Content-Type", "text/event-stream"}};
    co_await ex.begin_stream(200, fields);
    co_await ex.write(std::string("one"));
    co_await ex.write(std::string());
    co_await ex.write(std::make_shared<const std::string>("two"));
    co_await ex.finish();
  });
  raw_socket c(s.port);
  c.send(head("GET / HTTP/1.1"));
  auto answer = c.read_until("0\r\n\r\n");
  CHECK(answer.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  CHECK(answer.ends_with("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  c.send(head("GET / HTTP/1.0", "Connection: close\r\n"));
  CHECK(c.read_to_end().ends_with("\r\n\r\nonetwo"));
}

TEST_CASE("a stream with a stated length is not chunked, and a wrong length is cut and reported") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    headers fields{{"Content-Length", "6"}};
    co_await ex.begin_stream(200, fields);
    std::string bytes = ex.request().path == "/short" ? "abc" : "abcdef";
    co_await ex.write(bytes);
    co_await ex.finish();
  });
  raw_socket c(s.port);
  c.send(head("GET / HTTP/1.1"));
  auto answer = c.read_until("abcdef");
  CHECK(answer.find("chunked") == std::string::npos);
  c.send(head("GET /short HTTP/1.1"));
  CHECK(c.read_to_end().ends_with("abc"));
  CHECK(s.faults().size() == 1);
}

TEST_CASE("a stream that its handler leaves unfinished is seen as cut") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    headers none;
    co_await ex.begin_stream(200, none);
    co_await ex.write(std::string("half"));
  });
  raw_socket c(s.port);
  c.send(head("GET / HTTP/1.1"));
  auto answer = c.read_to_end();
  CHECK(answer.ends_with("4\r\nhalf\r\n"));
}

TEST_CASE("a handler that asks for it reads the body as it comes") {
  service what{[](exchange& ex) -> asio::awaitable<void> {
    std::size_t total = 0, pieces = 0;
    for (;;) {
      auto piece = co_await ex.read_body();
      if (!piece || !piece.value()) break;
      total += (*piece)->size();
      ++pieces;
    }
    co_await ex.reply(response::text(200, std::to_string(total) + (pieces > 1 ? " in pieces" : " at once")));
  }};
  what.body = [](const request&, std::size_t) { return body_rule{10 << 20, true}; };
  served s(what);
  request r;
  r.method = "PUT";
  r.body = std::string(3'000'000, 'x');
  CHECK(fetch(s.at(), r).bytes() == "3000000 in pieces");
}

TEST_CASE("a streamed body over the limit fails as too large, and the handler can still say so") {
  service what{[](exchange& ex) -> asio::awaitable<void> {
    result<std::optional<std::string>> piece;
    do {
      piece = co_await ex.read_body();
    } while (piece && piece.value());
    REQUIRE(!piece);
    co_await ex.reply(response::text(piece.error().kind == fault::too_large ? 413 : 500, "no"));
  }};
  what.body = [](const request&, std::size_t) { return body_rule{100'000, true}; };
  served s(what);
  raw_socket c(s.port);
  c.send(head("PUT / HTTP/1.1", "Transfer-Encoding: chunked\r\n"));
  std::string chunk = "10000\r\n" + std::string(65536, 'x') + "\r\n";
  c.send(chunk + chunk + "0\r\n\r\n");
  CHECK(status_of(c.read_to_end()) == 413);
}

TEST_CASE("a handler that throws is answered 500 for, reported, and the server goes on") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    if (ex.request().path == "/bad") throw std::runtime_error("broken on purpose");
    if (ex.request().path == "/silent") co_return;
    co_await ex.reply(response::text(200, "fine"));
  });
  auto answer = get(s, "/bad");
  CHECK(answer.status == 500);
  CHECK(answer.bytes().find("broken on purpose") == std::string::npos);
  CHECK(get(s, "/silent").status == 500);
  CHECK(get(s, "/").status == 200);
  REQUIRE(s.faults().size() == 2);
  CHECK(s.faults()[0] == "GET /bad: broken on purpose");
}

TEST_CASE("a header value cannot forge another header") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    co_await ex.reply(response::text(200, "x").with("X-Echo", "a\r\nSet-Cookie: forged=1"));
  });
  auto answer = get(s, "/");
  CHECK(!answer.headers.has("Set-Cookie"));
}

TEST_CASE("a long handler learns that its peer is gone") {
  event began, gone;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    troupe::wire::signal woken(ex.get_executor());
    ex.on_gone([woken] { woken.raise(); });
    began.set();
    if (co_await woken.wait(clock::now() + patience)) gone.set();
    co_await ex.reply(response::text(200, "to nobody"));
  });
  raw_socket c(s.port);
  c.send(head("GET / HTTP/1.1"));
  REQUIRE(began.wait());
  SUBCASE("by a close") {
    c.half_close();
  }
  SUBCASE("by a reset") {
    c.reset();
  }
  CHECK(gone.wait());
}

TEST_CASE("a reader that stops reading costs its own stream only") {
  server_options o;
  o.write_limit = 300ms;
  event failed;
  service what{[&](exchange& ex) -> asio::awaitable<void> {
    if (ex.request().path == "/ok") {
      co_await ex.reply(response::text(200, "ok"));
      co_return;
    }
    headers none;
    co_await ex.begin_stream(200, none);
    auto block = std::make_shared<const std::string>(1 << 20, 'x');
    while (co_await ex.write(block)) {
    }
    failed.set();
  }};
  served s(what, o);
  raw_socket c(s.port);
  c.shrink_receive_buffer();
  c.send(head("GET / HTTP/1.1"));
  CHECK(get(s, "/ok").status == 200);
  CHECK(failed.wait());
}

TEST_CASE("connections over the limit are turned away with 503") {
  server_options o;
  o.connections = 2;
  served s(echo, o);
  raw_socket a(s.port), b(s.port);
  a.send(head("GET /a HTTP/1.1"));
  b.send(head("GET /b HTTP/1.1"));
  CHECK(status_of(a.read_until("GET /a ")) == 200);
  CHECK(status_of(b.read_until("GET /b ")) == 200);
  raw_socket third(s.port);
  CHECK(status_of(third.read_to_end()) == 503);
}

TEST_CASE("a port in use is an error that names the address and what to do") {
  served s(echo);
  auto again = s.server->listen("127.0.0.1", s.port);
  REQUIRE(!again);
  CHECK(again.error().text.find("127.0.0.1:" + std::to_string(s.port)) != std::string::npos);
  CHECK(again.error().text.find("another program listens there") != std::string::npos);
}

TEST_CASE("a unix socket has its mode, says who asks, and replaces a dead one only") {
  folder f;
  auto path = (f.path / "s.sock").string();
  served s([](exchange& ex) -> asio::awaitable<void> {
    auto& who = ex.request().peer;
    co_await ex.reply(response::text(200, std::to_string(who.uid.value_or(9)) + " " +
                                              std::to_string(who.pid.value_or(0)) +
                                              (who.unix_socket ? " unix" : "")));
  });
  REQUIRE(s.server->listen_unix(path, 0600));
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777) == 0600);
  auto answer = fetch(endpoint::unix_file(path), request{});
  CHECK(answer.bytes() == std::to_string(::getuid()) + " " + std::to_string(::getpid()) + " unix");
  auto again = s.server->listen_unix(path);
  REQUIRE(!again);
  CHECK(again.error().text.find(path) != std::string::npos);
  s.stop();
  CHECK(!std::filesystem::exists(path));

  auto plain = (f.path / "file").string();
  std::fclose(std::fopen(plain.c_str(), "w"));
  served t(echo);
  CHECK(!t.server->listen_unix(plain));
  CHECK(std::filesystem::exists(plain));
}

TEST_CASE("stopping lets requests in flight finish and takes no new ones") {
  event began, may_end;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    began.set();
    while (!may_end.wait(0ms)) co_await sleep_for(2ms);
    co_await ex.reply(response::text(200, "finished"));
  });
  raw_socket c(s.port), idle(s.port);
  c.send(head("GET / HTTP/1.1"));
  REQUIRE(began.wait());
  std::thread stopper([&] { s.stop(10s); });
  CHECK(idle.ended());
  CHECK_THROWS(raw_socket(s.port));
  may_end.set();
  auto answer = c.read_to_end();
  stopper.join();
  CHECK(answer.ends_with("finished"));
  CHECK(answer.find("Connection: close") != std::string::npos);
  CHECK(s.server->connections() == 0);
}

TEST_CASE("stopping cuts what does not finish in its time") {
  event began, gone;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    troupe::wire::signal woken(ex.get_executor());
    ex.on_gone([woken] { woken.raise(); });
    began.set();
    if (co_await woken.wait(clock::now() + patience)) gone.set();
  });
  raw_socket c(s.port);
  c.send(head("GET / HTTP/1.1"));
  REQUIRE(began.wait());
  s.stop(50ms);
  CHECK(gone.wait());
  CHECK(c.read_to_end().empty());
}

TEST_CASE("stopping ends streams at once and cleanly when they listen") {
  event began;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    troupe::wire::signal woken(ex.get_executor());
    headers none;
    co_await ex.begin_stream(200, none);
    ex.on_gone([woken] { woken.raise(); });
    began.set();
    co_await woken.wait();
    if (ex.stopping()) {
      co_await ex.write(std::string("bye"));
      co_await ex.finish();
    }
  });
  raw_socket c(s.port);
  c.send(head("GET / HTTP/1.1"));
  REQUIRE(began.wait());
  auto before = clock::now();
  s.stop(15s);
  CHECK(clock::now() - before < 10s);
  CHECK(c.read_to_end().ends_with("3\r\nbye\r\n0\r\n\r\n"));
}
