#include "actors/capacity/capacity.h"

#include "tests/actors/instance.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

// One slot for the whole instance, and some tasks.
struct one_slot : acme {
  std::vector<std::string> tasks;

  explicit one_slot(int how_many = 3) {
    REQUIRE(h.call("capacity", "capacity.set_limits", {{"max_running", 1}}).ok());
    add_repository("widgets");
    for (int i = 0; i < how_many; ++i) tasks.push_back(make_task());
  }

  static std::string session(const std::string& task) { return key_of(task) + "/session/s1"; }
  void request(const std::string& task) {
    say(task, "capacity", "capacity.request", {{"holder", session(task)}, {"org", "acme"}});
  }
  void release(const std::string& task) {
    say(task, "capacity", "capacity.release", {{"holder", session(task)}});
  }
  json slot(const std::string& task, std::size_t count = 1) { return heard(task, "task.apply_slot", count); }
  json capacity_when(const std::function<bool(const json&)>& fits) { return h.await("capacity", fits); }
};

const json granted{{"session", "s1"}, {"granted", true}, {"position", 0}};
json waiting(int position) {
  return {{"session", "s1"}, {"granted", false}, {"position", position}};
}

}  // namespace

TEST_CASE("slots are granted up to the limit, and who waits is told where it stands") {
  one_slot i;
  i.request(i.tasks[0]);
  CHECK(i.slot(i.tasks[0]) == granted);
  i.request(i.tasks[1]);
  CHECK(i.slot(i.tasks[1]) == waiting(1));
  i.request(i.tasks[2]);
  CHECK(i.slot(i.tasks[2]) == waiting(2));
  const auto s = i.h.snapshot("capacity");
  CHECK(s["running"] == 1);
  CHECK(s["waiting"] == 2);
}

TEST_CASE("a slot that is given back goes to the first in line, and the others move up") {
  one_slot i;
  for (const auto& t : i.tasks) {
    i.request(t);
    i.slot(t);
  }
  i.release(i.tasks[0]);
  CHECK(i.slot(i.tasks[1], 2) == granted);
  CHECK(i.slot(i.tasks[2], 2) == waiting(1));
}

TEST_CASE("who gives up waiting leaves the line") {
  one_slot i;
  for (const auto& t : i.tasks) {
    i.request(t);
    i.slot(t);
  }
  i.release(i.tasks[1]);
  CHECK(i.slot(i.tasks[2], 2) == waiting(1));
}

TEST_CASE("asking twice repeats the answer and takes no second slot") {
  one_slot i;
  i.request(i.tasks[0]);
  i.slot(i.tasks[0]);
  i.request(i.tasks[0]);
  CHECK(i.slot(i.tasks[0], 2) == granted);
  i.request(i.tasks[1]);
  i.slot(i.tasks[1]);
  i.request(i.tasks[1]);
  CHECK(i.slot(i.tasks[1], 2) == waiting(1));
  CHECK(i.h.snapshot("capacity")["running"] == 1);
}

TEST_CASE("a higher limit grants at once, a lower one takes nothing away") {
  one_slot i;
  for (const auto& t : i.tasks) {
    i.request(t);
    i.slot(t);
  }
  REQUIRE(i.h.call("capacity", "capacity.set_limits", {{"max_running", 3}}).ok());
  CHECK(i.slot(i.tasks[1], 2) == granted);
  CHECK(i.slot(i.tasks[2], 2) == granted);
  REQUIRE(i.h.call("capacity", "capacity.set_limits", {{"max_running", 1}}).ok());
  CHECK(i.h.snapshot("capacity")["running"] == 3);
}

TEST_CASE("an organization runs no more than its share, others pass it in the line") {
  one_slot i;
  REQUIRE(i.h.call("capacity", "capacity.set_limits", {{"max_running", 4}}).ok());
  REQUIRE(i.org("org.update_settings", {{"max_running", 1}}).ok());
  i.capacity_when([](const json& shown) { return shown["organizations"][0]["share"] == 1; });
  i.request(i.tasks[0]);
  CHECK(i.slot(i.tasks[0]) == granted);
  i.request(i.tasks[1]);
  CHECK(i.slot(i.tasks[1]) == waiting(1));

  REQUIRE(i.h.call("access", "access.create_organization", {{"organization", "zeta"}}).ok());
  i.h.await("org/zeta", [](const json& shown) { return shown.contains("display_name"); });
  REQUIRE(i.h.call("org/zeta", "org.add_repository", {{"repository", "widgets"}, {"url", "/srv/git/widgets"}})
              .ok());
  i.h.effect("git.probe")->succeed({{"default_branch", "main"}, {"empty", false}});
  const std::string other =
      i.h.call("org/zeta", "org.create_task", {{"repository", "widgets"}, {"description", "Mend"}})
          .result()["task"];
  const auto where = "org/zeta/task/" + other;
  i.heard_at(where, "task.initialize");
  REQUIRE(i.h.as_host(where, "task.say",
                      {{"to", "capacity"},
                       {"name", "capacity.request"},
                       {"body", {{"holder", where + "/session/s1"}, {"org", "zeta"}}}})
              .ok());
  CHECK(i.heard_at(where, "task.apply_slot") == granted);

  REQUIRE(i.org("org.update_settings", {{"max_running", nullptr}}).ok());
  CHECK(i.slot(i.tasks[1], 2) == granted);
}

TEST_CASE("a task cannot take, keep or give back the slot of another") {
  one_slot i;
  i.request(i.tasks[0]);
  i.slot(i.tasks[0]);
  i.say(i.tasks[1], "capacity", "capacity.release", {{"holder", i.session(i.tasks[0])}});
  i.say(i.tasks[1], "capacity", "capacity.request", {{"holder", i.session(i.tasks[2])}, {"org", "acme"}});
  i.request(i.tasks[1]);
  CHECK(i.slot(i.tasks[1]) == waiting(1));
  CHECK(i.h.snapshot("capacity")["slots"][0]["holder"] == i.session(i.tasks[0]));
}

TEST_CASE("a slot that is renewed in time is not asked for") {
  one_slot i(1);
  i.request(i.tasks[0]);
  i.slot(i.tasks[0]);
  const auto until = i.h.snapshot("capacity")["slots"][0]["until"];
  i.now.advance(capacity_limits::slot_lifetime - 1min);
  i.say(i.tasks[0], "capacity", "capacity.renew", {{"holder", i.session(i.tasks[0])}});
  const auto s = i.capacity_when([&](const json& shown) { return shown["slots"][0]["until"] != until; });
  CHECK(s["slots"][0]["state"] == "granted");
  CHECK(s["slots"][0]["until"] == to_ms(i.now.now() + capacity_limits::slot_lifetime));
}

TEST_CASE("who renews a slot that it does not have stands in line again") {
  one_slot i(2);
  i.request(i.tasks[0]);
  i.slot(i.tasks[0]);
  i.say(i.tasks[1], "capacity", "capacity.renew", {{"holder", i.session(i.tasks[1])}});
  CHECK(i.slot(i.tasks[1]) == waiting(1));
}

TEST_CASE("a task that answers keeps its slot though it forgot to renew") {
  one_slot i(1);
  i.request(i.tasks[0]);
  i.slot(i.tasks[0]);
  i.now.advance(capacity_limits::slot_lifetime + 1s);
  CHECK(i.slot(i.tasks[0], 2) == granted);
  const auto s = i.capacity_when([&](const json& shown) {
    return shown["slots"][0]["until"] == to_ms(i.now.now() + capacity_limits::slot_lifetime);
  });
  CHECK(s["slots"][0]["state"] == "granted");
}

TEST_CASE("a task that no longer wants its slot loses it when it is asked") {
  one_slot i(2);
  i.request(i.tasks[0]);
  i.slot(i.tasks[0]);
  i.request(i.tasks[1]);
  i.slot(i.tasks[1]);
  REQUIRE(i.h.as_host(i.key_of(i.tasks[0]), "task.refuse",
                      {{"code", "not_wanted"}, {"detail", "the session has ended"}})
              .ok());
  i.now.advance(capacity_limits::slot_lifetime + 1s);
  CHECK(i.slot(i.tasks[1], 2) == granted);
}

TEST_CASE("a task that is gone loses its slot") {
  one_slot i(2);
  i.request(i.tasks[0]);
  i.slot(i.tasks[0]);
  i.request(i.tasks[1]);
  i.slot(i.tasks[1]);
  REQUIRE(i.h.as_host(i.key_of(i.tasks[0]), "task.leave").ok());
  i.now.advance(capacity_limits::slot_lifetime + 1s);
  CHECK(i.slot(i.tasks[1], 2) == granted);
}

TEST_CASE("what was granted and who waits survives a restart") {
  one_slot i;
  for (const auto& t : i.tasks) {
    i.request(t);
    i.slot(t);
  }
  i.h.restart();
  i.release(i.tasks[0]);
  CHECK(i.slot(i.tasks[1], 2) == granted);
  CHECK(i.slot(i.tasks[2], 2) == waiting(1));
}

TEST_CASE("the disk is low below five percent or two gigabytes, and well again only half a gigabyte above") {
  constexpr std::int64_t giga = 1'000'000'000;
  CHECK(disk_low(1 * giga, 10 * giga, false));
  CHECK(!disk_low(3 * giga, 10 * giga, false));
  CHECK(disk_low(40 * giga, 1000 * giga, false));
  CHECK(!disk_low(51 * giga, 1000 * giga, false));
  CHECK(disk_low(2 * giga + giga / 4, 10 * giga, true));
  CHECK(!disk_low(2 * giga + giga / 2, 10 * giga, true));
}

TEST_CASE("organizations hear when the disk runs low and when it is well again, also those made meanwhile") {
  acme i;
  const json low{{"free_bytes", 1'000'000'000}, {"total_bytes", 100'000'000'000}};
  CHECK(i.h.as_host("capacity", "capacity.report_disk", low).result()["low"] == true);
  const auto s = i.await([](const json& shown) { return !shown["warnings"].empty(); });
  CHECK(s["warnings"][0]["code"] == "disk_low");
  REQUIRE(i.h.call("access", "access.create_organization", {{"organization", "zeta"}}).ok());
  i.h.await("org/zeta",
            [](const json& shown) { return shown.contains("warnings") && !shown["warnings"].empty(); });
  REQUIRE(i.h.as_host("capacity", "capacity.report_disk",
                      {{"free_bytes", 50'000'000'000}, {"total_bytes", 100'000'000'000}})
              .ok());
  i.await([](const json& shown) { return shown["warnings"].empty(); });
}
