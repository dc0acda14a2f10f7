#include "net/wire/router.h"

#include <stdexcept>

#include <doctest/doctest.h>

#include "tests/wire/loop.h"

using namespace troupe::wire;
using namespace troupe::wire::testing;

namespace {

handler says(std::string what) {
  return [what](exchange& ex) -> asio::awaitable<void> {
    co_await ex.reply(
        response::text(200, what + " " + ex.param("key") + " " + ex.param("name") + ex.param("id")));
  };
}

response ask(const served& s, std::string method, std::string target) {
  request r;
  r.method = std::move(method);
  r.target = std::move(target);
  return fetch(s.at(), r);
}

}  // namespace

TEST_CASE("a pattern takes segments and decodes them one by one") {
  router r;
  r.on("GET", "/v1/acp/{id}", says("acp"));
  r.on("POST", "/v1/actors/{key...}/commands/{name}", says("command"));
  r.on("GET", "/v1/actors/{key...}/snapshot", says("snapshot"));
  served s(r.service());
  CHECK(ask(s, "GET", "/v1/acp/a%2Fb%20c").bytes() == "acp  a/b c");
  CHECK(ask(s, "POST", "/v1/actors/org/acme/task/t1/commands/task.rename").bytes() ==
        "command org/acme/task/t1 task.rename");
  CHECK(ask(s, "GET", "/v1/actors/org/snapshot?x=/y").bytes() == "snapshot org ");
}

TEST_CASE("what no pattern takes is 404, another method 405 with Allow") {
  router r;
  r.on("GET", "/a/{id}", says("a"));
  r.on("DELETE", "/a/{id}", says("a"));
  served s(r.service());
  for (auto target : {"/", "/a", "/a/", "/a/b/c", "/a/b/", "/b"}) CHECK(ask(s, "GET", target).status == 404);
  auto wrong = ask(s, "POST", "/a/b");
  CHECK(wrong.status == 405);
  CHECK(wrong.headers.find("Allow") == "DELETE, GET, HEAD");
  CHECK(wrong.headers.find("Content-Type") == "application/problem+json");
  CHECK(ask(s, "HEAD", "/a/b").status == 200);
}

TEST_CASE("the answers to unknown routes and wrong methods can be replaced") {
  router r;
  r.on("GET", "/a", says("a"));
  r.on_unknown([](exchange& ex) -> asio::awaitable<void> { co_await ex.reply(response::text(404, "mine")); });
  r.on_wrong_method([](exchange& ex, const std::vector<std::string>& allowed) -> asio::awaitable<void> {
    co_await ex.reply(response::empty(405).with("Allow", allowed.front()));
  });
  served s(r.service());
  CHECK(ask(s, "GET", "/b").bytes() == "mine");
  CHECK(ask(s, "PUT", "/a").bytes().empty());
}

TEST_CASE("more literal text goes first, whatever was added first") {
  router r;
  r.on("GET", "/{key...}", says("any"));
  r.on("GET", "/ui/{key...}", says("ui"));
  r.on("GET", "/ui/app.js", says("file"));
  served s(r.service());
  CHECK(ask(s, "GET", "/ui/app.js").bytes() == "file  ");
  CHECK(ask(s, "GET", "/ui/x/y").bytes() == "ui x/y ");
  CHECK(ask(s, "GET", "/z").bytes() == "any z ");
}

TEST_CASE("the check before all handlers can answer in their place") {
  router r;
  r.on("GET", "/a", says("a"));
  r.before([](exchange& ex) -> asio::awaitable<bool> {
    if (ex.request().headers.has("Authorization")) co_return true;
    co_await ex.reply(response::empty(401));
    co_return false;
  });
  served s(r.service());
  CHECK(ask(s, "GET", "/a").status == 401);
  request with;
  with.target = "/a";
  with.headers.add("authorization", "x");
  CHECK(fetch(s.at(), with).status == 200);
}

TEST_CASE("what is no pattern is a fault of the program") {
  router r;
  for (auto pattern : {"a", "/{a", "/{}", "/x{a}", "/{a}/{a}", "/{a...}/x/{b...}"})
    CHECK_THROWS_AS(r.on("GET", pattern, says("")), std::invalid_argument);
}
