#include <doctest/doctest.h>

#include "runtime/inspect.h"
#include "tests/runtime/world.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

int total(world& w, std::initializer_list<const char*> names) {
  int sum = 0;
  for (const auto* n : names) sum += w.account(n)["amount"].get<int>();
  return sum;
}

}  // namespace

TEST_CASE("payments between actors arrive once and conserve the total, whatever the order of stretches") {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    world w({}, seed);
    w.open({"a", "b", "c"});
    for (int i = 0; i < 30; ++i) {
      const char* from = i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : "c";
      const char* to = i % 3 == 0 ? "b" : i % 3 == 1 ? "c" : "a";
      w.is->command({.to = key(std::string("bank/b/account/") + from),
                     .id = "p" + std::to_string(i),
                     .name = "account.pay",
                     .body = {{"to", to}, {"amount", i}},
                     .principal = "ada"},
                    [](reply) {});
    }
    w.threads->advance(std::chrono::seconds(1));
    CHECK(total(w, {"a", "b", "c"}) == 300);
  }
}

TEST_CASE("messages sent before a restart arrive after it, once") {
  world w;
  w.open({"a", "b"});
  std::optional<reply> got;
  w.is->command({.to = key("bank/b/account/a"),
                 .id = "p",
                 .name = "account.pay",
                 .body = {{"to", "b"}, {"amount", 30}},
                 .principal = "ada"},
                [&](reply r) { got = r; });
  while (!got) REQUIRE(w.threads->step());
  w.restart();
  w.threads->advance(std::chrono::seconds(1));
  CHECK(w.account("a")["amount"] == 70);
  CHECK(w.account("b")["amount"] == 130);
}

TEST_CASE("a question to nobody is answered with the reason") {
  world w;
  w.open({"a"});
  CHECK(w.command("bank/b/account/a", "account.pay", {{"to", "nobody"}, {"amount", 30}}).ok());
  CHECK(w.account("a")["amount"] == 100);
  CHECK(w.account("a")["log"] == json{"refused: gone"});
}

TEST_CASE("a message that its target does not take goes to the sender's dead list and blocks nothing") {
  world w;
  w.open({"a", "b"});
  w.command("bank/b/account/a", "account.cheat", {{"to", "bank/b/account/b"}, {"name", "account.close"}});
  w.command("bank/b/account/a", "account.cheat", {{"to", "bank/b/account/b"}, {"name", "account.nothing"}});
  w.command("bank/b/account/a", "account.pay", {{"to", "b"}, {"amount", 1}});
  CHECK(w.account("b")["amount"] == 101);
  const auto dead = std::get<json>(inspector(*w.is).actor(key("bank/b/account/a")))["dead"];
  REQUIRE(dead.size() == 2);
  CHECK(dead[1]["name"] == "account.close");
}

TEST_CASE(
    "a dead message is sent again once there is somebody to take it, or dropped, and history shows who "
    "decided") {
  world w;
  w.open({"a"});
  const key a("bank/b/account/a");
  const auto cheat = [&](const char* to) {
    w.command(a.str(), "account.cheat", {{"to", to}, {"name", "account.receive"}, {"body", {{"amount", 7}}}});
  };
  cheat("bank/b/account/late");
  cheat("bank/b/account/never");
  const auto dead = [&] { return std::get<json>(inspector(*w.is).dead("bank/b"))["messages"]; };
  REQUIRE(dead().size() == 2);
  w.command("bank/b", "bank.make", {{"account", "late"}, {"amount", 1}});

  std::vector<reply> answers;
  const auto settle = [&](const json& m, bool again) {
    w.is->settle_dead(a, m["id"].get<std::int64_t>(), again, "eve",
                      [&](reply r) { answers.push_back(std::move(r)); });
    w.threads->run();
  };
  const auto both = dead();
  settle(both[1], true);
  settle(both[0], false);
  settle(both[0], false);
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].result()["target"] == "bank/b/account/late");
  CHECK(answers[1].ok());
  CHECK(answers[2].error().status == 404);
  CHECK(w.account("late")["amount"] == 8);
  CHECK(dead().empty());
  const auto h = std::get<json>(inspector(*w.is).history(a, 0, 2, true))["history"];
  CHECK(h[0]["name"] == "$dead.retry");
  CHECK(h[1]["name"] == "$dead.drop");
  CHECK(h[1]["principal"] == "eve");
}

TEST_CASE("a file of the first version is brought up to this one with all that it holds") {
  world w;
  w.open({"a"});
  w.command("bank/b/account/a", "account.cheat", {{"to", "bank/b/account/never"}, {"name", "account.close"}});
  w.end();
  {
    storage::database db(w.data.path() / "data/bank/b/account/a/actor.sqlite");
    db.script(
        "ALTER TABLE rt_dead DROP COLUMN principal; UPDATE storage_schema SET version = 1 WHERE component = "
        "'runtime'");
  }
  w.begin();
  CHECK(w.account("a")["amount"] == 100);
  CHECK(std::get<json>(inspector(*w.is).dead(""))["messages"][0]["name"] == "account.close");
  CHECK(std::get<json>(inspector(*w.is).query(key("bank/b/account/a"),
                                              "SELECT principal FROM rt_dead"))["rows"][0][0] == "");
}

TEST_CASE("a deleted actor is gone, its folder is in the trash, and its name can be used again") {
  world w;
  w.open({"a", "b"});
  w.command("bank/b/account/a", "account.pay", {{"to", "b"}, {"amount", 1}});
  w.command("bank/b", "bank.close", {{"account", "a"}});
  w.threads->advance(std::chrono::seconds(1));
  CHECK(w.command("bank/b/account/a", "account.deposit", {{"amount", 1}}).error().status == 404);
  CHECK_FALSE(std::filesystem::exists(w.is->folder(key("bank/b/account/a"))));
  CHECK(std::distance(std::filesystem::directory_iterator(w.is->data() / "trash"), {}) == 1);
  CHECK(w.query("bank/b", "bank.list").result() == json{{"b", 100}});

  w.command("bank/b", "bank.make", {{"account", "a"}, {"amount", 7}});
  w.command("bank/b/account/a", "account.pay", {{"to", "b"}, {"amount", 7}});
  w.command("bank/b/account/b", "account.pay", {{"to", "a"}, {"amount", 50}});
  w.threads->advance(std::chrono::seconds(1));
  CHECK(w.account("a")["amount"] == 50);
  CHECK(w.account("b")["amount"] == 58);
}

TEST_CASE("a sleeping actor is woken by a message and by a command, and keeps its numbers") {
  world w([](host_options& o) { o.limits.idle_before_sleep = std::chrono::seconds(2); });
  w.open({"a", "b"});
  w.command("bank/b/account/a", "account.pay", {{"to", "b"}, {"amount", 1}});
  w.threads->advance(std::chrono::seconds(10));
  CHECK(w.is->stats().awake == 0);
  w.command("bank/b/account/a", "account.pay", {{"to", "b"}, {"amount", 1}});
  w.threads->advance(std::chrono::seconds(10));
  CHECK(w.account("b")["amount"] == 102);
  CHECK(total(w, {"a", "b"}) == 200);
}

TEST_CASE("no more than the limit is awake, and it makes room for those who come") {
  world w([](host_options& o) { o.limits.awake = 4; });
  w.open({"a", "b", "c", "d", "e", "f"});
  w.threads->advance(std::chrono::seconds(40));
  for (const char* n : {"a", "b", "c", "d", "e", "f"}) {
    for (int tries = 0;
         tries < 10 &&
         !w.command(std::string("bank/b/account/") + n, "account.deposit", {{"amount", 1}}, n).ok();
         ++tries) {
      w.threads->advance(std::chrono::seconds(1));
    }
    CHECK(w.is->stats().awake <= 4);
  }
  w.threads->advance(std::chrono::seconds(60));
  for (const char* n : {"a", "b", "c", "d", "e", "f"}) {
    json r;
    for (int tries = 0; tries < 10; ++tries) {
      if (r = w.account(n); r.contains("amount")) break;
      w.threads->advance(std::chrono::seconds(1));
    }
    CHECK(r["amount"] == 101);
  }
}
