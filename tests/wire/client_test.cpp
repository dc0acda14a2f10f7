#include "net/wire/client.h"

#include <doctest/doctest.h>

#include "net/wire/signal.h"
#include "tests/wire/loop.h"
#include "tests/wire/tls_kit.h"

using namespace troupe::wire;
using namespace troupe::wire::testing;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> ok(exchange& ex) {
  co_await ex.reply(response::text(200, "ok"));
}

request get_of(std::string target) {
  request r;
  r.target = std::move(target);
  return r;
}

}  // namespace

TEST_CASE("a connection is used again, and replaced when the server closed it meanwhile") {
  server_options o;
  o.idle_limit = 100ms;
  served s(ok, o);
  loop l;
  client c(l.get_executor());
  auto fetch_once = [&] { return l.run(c.fetch(s.at(), get_of("/"), 5s)); };
  REQUIRE(fetch_once());
  REQUIRE(fetch_once());
  CHECK(s.server->connections() == 1);
  REQUIRE(eventually([&] { return s.server->connections() == 0; }));
  auto again = fetch_once();
  REQUIRE(again);
  CHECK(again->status == 200);
}

TEST_CASE("no more idle connections are kept than stated") {
  event all_here;
  std::atomic<int> here = 0;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    if (++here == 5) all_here.set();
    while (!all_here.wait(0ms)) co_await sleep_for(2ms);
    co_await ex.reply(response::text(200, "ok"));
  });
  loop l;
  client_options o;
  o.idle_per_endpoint = 2;
  client c(l.get_executor(), o);
  std::vector<std::future<result<response>>> answers;
  for (int i = 0; i < 5; ++i)
    answers.push_back(asio::co_spawn(l.context(), c.fetch(s.at(), get_of("/"), 10s), asio::use_future));
  for (auto& a : answers) CHECK(a.get());
  CHECK(eventually([&] { return s.server->connections() == 2; }));
}

TEST_CASE("nobody listening is an error that names the address and asks the right question") {
  std::uint16_t port;
  {
    served s(ok);
    port = s.port;
  }
  blocking_client c;
  auto answer = c.fetch(endpoint::tcp("127.0.0.1", port), get_of("/"));
  REQUIRE(!answer);
  CHECK(answer.error().kind == fault::connect);
  CHECK(answer.error().text.find("http://127.0.0.1:" + std::to_string(port)) != std::string::npos);
  CHECK(answer.error().text.find("is the server running?") != std::string::npos);
  auto no_file = c.fetch(endpoint::unix_file("/nonexistent/x.sock"), get_of("/"));
  REQUIRE(!no_file);
  CHECK(no_file.error().kind == fault::connect);
}

TEST_CASE("a deadline ends a request, and the connection with it") {
  event gone;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    troupe::wire::signal woken(ex.get_executor());
    ex.on_gone([woken] { woken.raise(); });
    co_await woken.wait(clock::now() + patience);
    gone.set();
    co_await ex.reply(response::empty(204));
  });
  blocking_client c;
  auto before = clock::now();
  auto answer = c.fetch(s.at(), get_of("/"), 150ms);
  REQUIRE(!answer);
  CHECK(answer.error().kind == fault::timed_out);
  CHECK(clock::now() - before < 5s);
  // The loop of a blocking client runs only inside its calls.
  CHECK(!c.fetch(s.at(), get_of("/"), 50ms));
  CHECK(gone.wait());
}

TEST_CASE("an answer over the limit is refused") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    co_await ex.reply(response::text(200, std::string(2000, 'x')));
  });
  client_options o;
  o.response_bytes = 1999;
  blocking_client c(o);
  auto answer = c.fetch(s.at(), get_of("/"));
  REQUIRE(!answer);
  CHECK(answer.error().kind == fault::too_large);
}

TEST_CASE("an early refusal is the answer though the body was not taken") {
  server_options o;
  o.body_bytes = 10;
  served s(ok, o);
  request r;
  r.method = "POST";
  r.body = std::string(8 << 20, 'x');
  blocking_client c;
  auto answer = c.fetch(s.at(), r);
  REQUIRE(answer);
  CHECK(answer->status == 413);
}

TEST_CASE("events of a stream arrive one by one, and its clean end is an end") {
  event second;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    headers fields{{"Content-Type", "text/event-stream"}};
    co_await ex.begin_stream(200, fields);
    co_await ex.write(format_event("one", "1"));
    while (!second.wait(0ms)) co_await sleep_for(2ms);
    co_await ex.write(format_comment() + format_event("two", "2"));
    co_await ex.finish();
  });
  loop l;
  client c(l.get_executor());
  l.run([](client& from, endpoint to, event& go_on) -> asio::awaitable<void> {
    auto stream = co_await from.open_stream(to, get_of("/"), clock::now() + patience);
    REQUIRE(stream);
    CHECK(stream->status() == 200);
    auto one = co_await stream->read_event();
    REQUIRE((one && one.value()));
    CHECK((*one)->data == "one");
    go_on.set();
    auto two = co_await stream->read_event();
    REQUIRE((two && two.value()));
    CHECK((*two)->data == "two");
    CHECK(stream->last_event_id() == "2");
    auto end = co_await stream->read_event();
    REQUIRE(end);
    CHECK(!end.value());
  }(c, s.at(), second));
}

TEST_CASE("a stream that is cut, silent or closed here ends as a failure that says which") {
  event cut;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    headers none;
    co_await ex.begin_stream(200, none);
    co_await ex.write(std::string("x"));
    if (ex.request().path == "/cut") co_return;
    troupe::wire::signal woken(ex.get_executor());
    ex.on_gone([woken] { woken.raise(); });
    co_await woken.wait(clock::now() + patience);
  });
  loop l;
  client c(l.get_executor());
  auto end_of = [&](std::string target, bool close_it) {
    return l.run([](client& from, endpoint to, std::string path, bool closes) -> asio::awaitable<failure> {
      auto stream = co_await from.open_stream(to, get_of(path), clock::now() + patience);
      REQUIRE(stream);
      REQUIRE(co_await stream->read());
      asio::steady_timer later(co_await asio::this_coro::executor, 50ms);
      if (closes) later.async_wait([&](const auto&) { stream->close(); });
      auto next = co_await stream->read(closes ? 20s : 100ms);
      REQUIRE(!next);
      co_return next.error();
    }(c, s.at(), std::move(target), close_it));
  };
  CHECK(end_of("/cut", false).kind == fault::closed);
  CHECK(end_of("/", false).kind == fault::timed_out);
  auto closed = end_of("/", true);
  CHECK(closed.kind == fault::closed);
  CHECK(closed.text.find("on this side") != std::string::npos);
}

TEST_CASE("closing the client ends what is in progress and refuses what comes") {
  event began;
  served s([&](exchange& ex) -> asio::awaitable<void> {
    troupe::wire::signal woken(ex.get_executor());
    ex.on_gone([woken] { woken.raise(); });
    began.set();
    co_await woken.wait(clock::now() + patience);
    co_await ex.reply(response::empty(204));
  });
  loop l;
  client c(l.get_executor());
  auto answer = asio::co_spawn(l.context(), c.fetch(s.at(), get_of("/"), 20s), asio::use_future);
  REQUIRE(began.wait());
  c.close();
  REQUIRE(answer.wait_for(patience) == std::future_status::ready);
  auto ended = answer.get();
  REQUIRE(!ended);
  CHECK(ended.error().kind == fault::closed);
  CHECK(!l.run(c.fetch(s.at(), get_of("/"), 1s)));
}

TEST_CASE("the blocking client reads events until it is told to stop, and gives other answers whole") {
  served s([](exchange& ex) -> asio::awaitable<void> {
    if (ex.request().path == "/no") {
      co_await ex.reply(response::text(404, "no such stream"));
      co_return;
    }
    headers none;
    co_await ex.begin_stream(200, none);
    for (int i = 1; co_await ex.write(format_event(std::to_string(i)));) ++i;
  });
  blocking_client c;
  int seen = 0;
  auto status = c.events(s.at(), get_of("/"), [&](const sse_event& e) {
    CHECK(e.data == std::to_string(++seen));
    return seen < 100;
  });
  REQUIRE(status);
  CHECK(*status == 200);
  CHECK(seen == 100);
  std::string body;
  status = c.events(
      s.at(), get_of("/no"), [](const sse_event&) { return true; }, &body);
  REQUIRE(status);
  CHECK(*status == 404);
  CHECK(body == "no such stream");
}

TEST_CASE("TLS goes to who can prove its name, and to nobody else") {
  tls_server named("127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
  tls_server other("example.org", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
  blocking_client c;
  auto ask = [&](const tls_server& s, const std::string& ca) {
    auto to = endpoint::tls("127.0.0.1", s.port());
    to.ca_file = ca;
    return c.fetch(to, get_of("/"), 5s);
  };
  auto good = ask(named, named.ca_file());
  REQUIRE(good);
  CHECK(good->bytes() == "secret");
  auto wrong_name = ask(other, other.ca_file());
  REQUIRE(!wrong_name);
  CHECK(wrong_name.error().kind == fault::tls);
  auto unknown = ask(named, "");
  REQUIRE(!unknown);
  CHECK(unknown.error().kind == fault::tls);
  CHECK(unknown.error().text.find("not trusted") != std::string::npos);
  CHECK(!ask(named, "/nonexistent.pem"));
}

TEST_CASE("an answer without a length ends with its connection; garbage is a fault of the protocol") {
  tls_server until_close("127.0.0.1", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
  tls_server garbage("127.0.0.1", "SSH-2.0-whatever\r\n\r\n");
  tls_server short_body("127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  blocking_client c;
  auto ask = [&](const tls_server& s) {
    auto to = endpoint::tls("127.0.0.1", s.port());
    to.ca_file = s.ca_file();
    return c.fetch(to, get_of("/"), 5s);
  };
  auto whole = ask(until_close);
  REQUIRE(whole);
  CHECK(whole->bytes() == "all of it");
  auto nonsense = ask(garbage);
  REQUIRE(!nonsense);
  CHECK(nonsense.error().kind == fault::protocol);
  auto half = ask(short_body);
  REQUIRE(!half);
  CHECK(half.error().kind == fault::closed);
}
