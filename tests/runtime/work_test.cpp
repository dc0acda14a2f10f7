#include <doctest/doctest.h>

#include "tests/runtime/world.h"

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

const std::string account_a = "bank/b/account/a";

}  // namespace

TEST_CASE("a timer rings at its time, once, also after a restart, also when its actor sleeps") {
  world w([](host_options& o) { o.limits.idle_before_sleep = 2s; });
  w.open({"a"});
  w.command(account_a, "account.remind", {{"in_ms", 30'000}});
  w.threads->advance(10s);
  CHECK(w.is->stats().awake == 0);
  w.restart();
  w.threads->advance(15s);
  CHECK(w.account("a")["log"].empty());
  w.threads->advance(10s);
  CHECK(w.account("a")["log"] == json{"ring"});
  w.threads->advance(60s);
  CHECK(w.account("a")["log"].size() == 1);
}

TEST_CASE("a timer rings within a second of a jump of the wall clock over its time") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.remind", {{"in_ms", 3'600'000}});
  w.threads->advance(5s);
  w.time.jump(2h);
  w.threads->advance(1s);
  CHECK(w.account("a")["log"] == json{"ring"});
}

TEST_CASE("setting a timer again replaces it") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.remind", {{"in_ms", 1'000}, {"text", "first"}});
  w.command(account_a, "account.remind", {{"in_ms", 3'000}, {"text", "second"}});
  w.threads->advance(10s);
  CHECK(w.account("a")["log"] == json{"second"});
}

TEST_CASE("an effect starts after its turn and its outcome comes back as a command") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.fetch", {{"tag", "t"}});
  REQUIRE(w.effects.size() == 1);
  CHECK(w.effects[0]->body()["tag"] == "t");
  w.effects[0]->succeed({{"got", 1}});
  w.effects[0]->succeed({{"got", 2}});
  w.threads->run();
  CHECK(w.account("a")["log"] == json{R"(t:{"got":1})"});
}

TEST_CASE("effects of one resource run one at a time in order, others at most four at once") {
  world w;
  w.open({"a"});
  for (int i = 0; i < 3; ++i)
    w.command(account_a, "account.fetch", {{"tag", std::to_string(i)}, {"resource", "disk"}});
  CHECK(w.effects.size() == 1);
  w.effects[0]->succeed(1);
  w.threads->run();
  CHECK(w.effects.size() == 2);
  CHECK(w.effects[1]->body()["tag"] == "1");
  for (int i = 0; i < 6; ++i) w.command(account_a, "account.fetch", {{"tag", "free"}});
  CHECK(w.effects.size() == 6);
}

TEST_CASE("a failure that may be tried again is, with pauses, and then reported") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.fetch", {{"tag", "t"}});
  for (std::size_t n = 1; n <= 3; ++n) {
    REQUIRE(w.effects.size() == n);
    CHECK(w.effects.back()->attempt() == static_cast<int>(n));
    w.effects.back()->fail({503, "transport", "no"}, true);
    w.threads->advance(1s);
  }
  CHECK(w.effects.size() == 3);
  CHECK(w.account("a")["log"] == json{"t:transport"});
}

TEST_CASE("an effect that is dropped without a word has an outcome too") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.fetch", {{"tag", "t"}});
  w.effects.clear();
  w.threads->run();
  CHECK(w.account("a")["log"] == json{"t:dropped"});
}

TEST_CASE("an effect over its deadline is cancelled and reported") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.fetch", {{"tag", "t"}, {"deadline_ms", 5'000}});
  bool told = false;
  w.effects[0]->on_cancel([&] { told = true; });
  w.threads->advance(6s);
  CHECK(told);
  CHECK(w.account("a")["log"] == json{"t:deadline"});
}

TEST_CASE("after a restart an effect is retried as resumed, or reported as interrupted, as its kind says") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.fetch", {{"tag", "again"}});
  w.command(account_a, "account.fetch", {{"tag", "once"}, {"kind", "once"}});
  CHECK_FALSE(w.effects[0]->resumed());
  const auto id = w.effects[0]->id();
  w.restart();
  REQUIRE(w.effects.size() == 1);
  CHECK(w.effects[0]->resumed());
  CHECK(w.effects[0]->id() == id);
  CHECK(w.account("a")["log"] == json{"once:interrupted"});
}

TEST_CASE("the outcome of an effect of before a restart is ignored") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.fetch", {{"tag", "t"}});
  const auto old = w.effects[0];
  w.restart();
  old->succeed("late");
  w.threads->run();
  CHECK(w.account("a")["log"].empty());
}

TEST_CASE("a feed's batch and its position are one; the source hears after the commit") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.listen");
  REQUIRE(w.feeds.size() == 1);
  bool committed = false;
  w.feeds[0]->deliver("2", {1, 2}, [&] { committed = true; });
  CHECK_FALSE(committed);
  w.threads->run();
  CHECK(committed);
  CHECK(w.feeds[0]->position() == "2");
  w.restart();
  REQUIRE(w.feeds.size() == 1);
  CHECK(w.feeds[0]->position() == "2");
}

TEST_CASE("a feed that was left brings nothing more") {
  world w;
  w.open({"a"});
  const auto feed = w.command(account_a, "account.listen").result()["feed"];
  bool stopped = false;
  w.feeds[0]->on_stop([&] { stopped = true; });
  w.command(account_a, "account.listen", {{"stop", feed}});
  CHECK(stopped);
  w.feeds[0]->deliver("2", {1}, [] {});
  w.feeds[0]->end({});
  w.threads->run();
  CHECK(w.account("a")["log"].empty());
  w.restart();
  CHECK(w.feeds.empty());
}

TEST_CASE("a feed that ends says so to its actor") {
  world w;
  w.open({"a"});
  w.command(account_a, "account.listen");
  w.feeds[0]->fail(not_found("the source is gone"));
  w.threads->run();
  CHECK(w.account("a")["log"].size() == 1);
}
