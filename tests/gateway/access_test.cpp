// What the gateway asks of whoever comes, over every route that there is.
#include <set>

#include <doctest/doctest.h>

#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;

TEST_CASE("every route but those named here asks for a proof of who one is, and none lets another site in") {
  served s(
      [](gateway::gateway_options& o) { o.sandboxes = [](const std::string&) { return std::nullopt; }; });
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
    CHECK(s.send(r, "").status == 401);
    CHECK(s.send(r, "no-such-token").status == 401);
    r.headers.add("Origin", "https://evil.example");
    CHECK(s.send(r).status == 403);
    ++asked;
  }
  CHECK(asked > 20);
}
