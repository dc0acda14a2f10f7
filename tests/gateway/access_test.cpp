// What the gateway asks of whoever comes, over every route that there is.
#include <future>
#include <set>

#include <doctest/doctest.h>

#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;

TEST_CASE("every route but those named here asks for a proof of who one is, and none lets another site in") {
  served s([](gateway::gateway_options& o) {
    o.sandboxes = [](const std::string&) { return std::nullopt; };
    o.trusted_proxies = {*gateway::network::parse("127.0.0.1")};  // so that each question has its own address
  });
  // The page and the contract hold nothing of anybody; signing in is how one comes to a proof.
  const std::set<std::string> open{"GET /v1/health", "POST /v1/session", "GET /openapi.json",
                                   "GET /asyncapi.json", "GET /schemas/{kind}/{file}"};
  std::size_t asked = 0;
  for (const auto& [method, pattern] : s.door->routes()) {
    if (open.contains(method + " " + pattern)) continue;
    if (method == "GET" && pattern.find("/v1/") == std::string::npos && pattern != "/metrics") continue;
    auto target = pattern;
    for (std::size_t from; (from = target.find('{')) != std::string::npos;)
      target.replace(from, target.find('}') - from + 1,
                     target.substr(from, 5) == "{key." ? "org/acme" : "one");
    wire::request r;
    r.method = method;
    r.target = target;
    INFO(method, " ", target);
    r.headers.add("X-Forwarded-For", "198.51.100." + std::to_string(asked));
    CHECK(s.send(r, "").status == 401);
    CHECK(s.send(r, "no-such-token").status == 401);
    r.headers.add("Origin", "https://evil.example");
    CHECK(s.send(r).status == 403);
    ++asked;
  }
  CHECK(asked > 20);
}

TEST_CASE("a subscribe during which the standing of its reader changes is answered before its first frame") {
  std::promise<std::function<void(bool)>> held;
  served s([&](gateway::gateway_options& o) {
    o.materialize = [&](const key& k, const std::string&, std::function<void(bool)> done) {
      k.id() == "lazy" ? held.set_value(done) : done(false);
    };
  });
  talker reader(s, "ada-token");
  reader.say({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/lazy#lines"}, {"after", 0}});
  auto asked = held.get_future();
  REQUIRE(asked.wait_for(patience) == std::future_status::ready);
  s.who.set_role("ada-token", "other", "member");
  reader.say({{"op", "ping"}, {"id", "2"}});
  CHECK(reader.hear("reply")["id"] == "2");
  s.make("org.make", {{"id", "lazy"}}, "org/acme/note/lazy");
  s.post("/v1/actors/org/acme/note/lazy/commands/note.add", {{"count", 1}});
  asked.get()(true);
  auto answer = reader.hear();
  CHECK(answer["op"] == "reply");
  CHECK(answer["id"] == "1");
  CHECK(answer["ok"] == true);
  CHECK(reader.hear()["op"] == "entries");
}
