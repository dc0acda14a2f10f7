// Who comes to the door: proofs that are guessed, and proxies that speak for others.
#include <doctest/doctest.h>

#include "net/gateway/throttle.h"
#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;
using namespace std::chrono_literals;
using gateway::network;
using gateway::throttle;

namespace {

wire::request asking(const std::string& target, const wire::headers& fields) {
  wire::request r;
  r.target = target;
  r.headers = fields;
  return r;
}

}  // namespace

TEST_CASE("an address may be wrong some times at once, then once in a while") {
  throttle t;
  const auto begin = wire::clock::now();
  for (int i = 0; i < throttle::at_once; ++i) {
    CHECK(!t.wait("192.0.2.1", begin));
    t.wrong("192.0.2.1", begin);
  }
  CHECK(t.wait("192.0.2.1", begin) == throttle::then_every);
  CHECK(!t.wait("192.0.2.2", begin));
  CHECK(!t.wait("192.0.2.1", begin + throttle::then_every));
  t.wrong("192.0.2.1", begin + throttle::then_every);
  CHECK(t.wait("192.0.2.1", begin + throttle::then_every) == throttle::then_every);
}

TEST_CASE("however many addresses are wrong, so many are remembered, the latest") {
  throttle t;
  const auto begin = wire::clock::now();
  for (std::size_t i = 0; i < throttle::addresses + 100; ++i)
    for (int n = 0; n < throttle::at_once; ++n) t.wrong(std::to_string(i), begin);
  CHECK(t.size() == throttle::addresses);
  CHECK(!t.wait("0", begin));
  CHECK(t.wait(std::to_string(throttle::addresses + 99), begin));
}

TEST_CASE("a network of version 6 is one guesser, an address of version 4 another") {
  CHECK(throttle::counted_as("[2001:db8:1:2:3::4]:99") == throttle::counted_as("2001:db8:1:2::5"));
  CHECK(throttle::counted_as("[2001:db8:1:2:3::4]:99") != throttle::counted_as("2001:db8:1:3::5"));
  CHECK(throttle::counted_as("192.0.2.1:80") == "192.0.2.1");
  CHECK(throttle::counted_as("::ffff:192.0.2.1") == "192.0.2.1");
}

TEST_CASE("networks are read, hold what is in them, and are refused when they are none") {
  const auto holds = [](const char* net, const char* address) {
    return network::parse(net)->holds(*gateway::ip_address::parse(address));
  };
  CHECK(holds("10.0.0.0/8", "10.200.3.4"));
  CHECK(!holds("10.0.0.0/8", "11.0.0.1"));
  CHECK(holds("192.0.2.128/25", "192.0.2.200"));
  CHECK(!holds("192.0.2.128/25", "192.0.2.100"));
  CHECK(holds("127.0.0.1", "127.0.0.1:4000"));
  CHECK(!holds("127.0.0.1", "127.0.0.2"));
  CHECK(holds("fd00::/8", "[fd12::1]:80"));
  CHECK(!holds("0.0.0.0/0", "2001:db8::1"));
  for (const char* none : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "10.0.0", "fd00::/129", "proxy"})
    CHECK_MESSAGE(!network::parse(none), none);
}

TEST_CASE("who guesses tokens is told to wait, who has one is let in all the same") {
  served s;
  for (int i = 0; i < throttle::at_once; ++i)
    CHECK(s.get("/v1/session", "guess-" + std::to_string(i)).status == 401);
  const auto slowed = s.get("/v1/session", "another-guess");
  CHECK(slowed.status == 429);
  CHECK(json::parse(slowed.bytes())["code"] == "too_many_attempts");
  REQUIRE(slowed.headers.has("Retry-After"));
  CHECK(std::stoi(std::string(*slowed.headers.find("Retry-After"))) <= throttle::then_every.count());
  CHECK(s.get("/v1/session").status == 200);
  // Nobody's proof is looked at where none is given.
  CHECK(s.get("/v1/session", "").status == 401);
}

TEST_CASE("who guesses sign-in links is told to wait, even with the right one") {
  served s;
  const auto sign_in = [&](const char* word) { return s.post("/v1/session", {{"word", word}}, "").status; };
  for (int i = 0; i < throttle::at_once; ++i) CHECK(sign_in("guess") == 410);
  CHECK(sign_in("guess") == 429);
  CHECK(sign_in("good-word") == 429);
}

TEST_CASE("a client cannot give itself another address where no proxy is trusted") {
  served s;
  int slowed = 0;
  for (int i = 0; i <= throttle::at_once; ++i)
    slowed += s.send(asking("/v1/session", {{"X-Forwarded-For", "198.51.100." + std::to_string(i)}}), "guess")
                  .status == 429;
  CHECK(slowed == 1);
  const auto spoofed =
      s.send(asking("/v1/session", {{"X-Forwarded-Host", "troupe.example"}, {"X-Forwarded-Proto", "https"}}));
  CHECK(spoofed.status == 200);
  CHECK(!spoofed.headers.has("Strict-Transport-Security"));
}

TEST_CASE("a trusted proxy says who asks, for which name, and whether over TLS") {
  served s([](gateway::gateway_options& o) {
    o.trusted_proxies = {*network::parse("127.0.0.0/8")};
    o.hosts = {"troupe.example"};
  });
  const auto guess = [&](const std::string& hops) {
    return s.send(asking("/v1/session", {{"X-Forwarded-For", hops}}), "guess").status;
  };
  for (int i = 0; i < throttle::at_once; ++i) CHECK(guess("198.51.100.7") == 401);
  CHECK(guess("198.51.100.7") == 429);
  CHECK(guess("198.51.100.8") == 401);
  // What the client wrote itself stands before what the proxy added.
  CHECK(guess("203.0.113.9, 198.51.100.7, 127.0.0.3") == 429);

  CHECK(s.send(asking("/v1/session", {{"X-Forwarded-Host", "evil.example"}})).status == 421);
  auto named = asking("/v1/session", {{"X-Forwarded-Host", "troupe.example"},
                                      {"X-Forwarded-Proto", "https"},
                                      {"Origin", "https://troupe.example"}});
  const auto answer = s.send(named);
  CHECK(answer.status == 200);
  CHECK(answer.headers.has("Strict-Transport-Security"));
  const auto cookie = [&](const char* scheme) {
    return std::string(*s.post("/v1/session", {{"word", "good-word"}}, "", {{"X-Forwarded-Proto", scheme}})
                            .headers.find("Set-Cookie"));
  };
  CHECK(cookie("https").ends_with("; Secure"));
  CHECK(!cookie("http").ends_with("; Secure"));
}
