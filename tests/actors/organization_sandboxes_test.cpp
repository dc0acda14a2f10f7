#include "tests/actors/instance.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;

namespace {

struct with_task : acme {
  std::string task;

  with_task() {
    add_repository("widgets");
    task = make_task();
  }
  void create(const std::string& sandbox) {
    say(task, "org/acme", "org.create_sandbox", {{"sandbox", sandbox}, {"spec", {{"provider", "local"}}}});
  }
  static std::string at(const std::string& sandbox) { return "org/acme/sandbox/" + sandbox; }
  json sandboxes(const std::function<bool(const json&)>& fits) {
    return await([&](const json& shown) { return fits(shown["sandboxes"]); })["sandboxes"];
  }
};

}  // namespace

TEST_CASE("a task gets a sandbox with its key as the holder") {
  with_task i;
  i.create("b1");
  CHECK(i.heard_at(i.at("b1"), "sandbox.create") ==
        json{{"provider", "local"}, {"holder", i.key_of(i.task)}});
  const auto s = i.sandboxes([](const json& shown) { return shown["count"] == 1; });
  CHECK(s["by_state"] == json{{"creating", 1}});
}

TEST_CASE("what a sandbox says of itself shows, until it is given back and destroyed") {
  with_task i;
  i.create("b1");
  i.heard_at(i.at("b1"), "sandbox.create");
  const auto say = [&](std::string_view state) {
    REQUIRE(i.h.as_host(i.at("b1"), "sandbox.say",
                        {{"to", "org/acme"},
                         {"name", "org.apply_sandbox_state"},
                         {"body",
                          {{"sandbox", "b1"},
                           {"state", state},
                           {"holder", i.key_of(i.task)},
                           {"tier", "namespaces"}}}})
                .ok());
  };
  say("running");
  CHECK(i.sandboxes([](const json& shown) {
    return shown["by_state"].contains("running");
  })["recent"][0]["tier"] == "namespaces");
  say("destroyed");
  i.sandboxes([](const json& shown) { return shown["by_state"].contains("destroyed"); });
  i.say(i.task, "org/acme", "org.release_sandbox", {{"sandbox", "b1"}});
  i.heard_at(i.at("b1"), "sandbox.delete");
  say("destroyed");
  i.sandboxes([](const json& shown) { return shown["count"] == 0; });
}

TEST_CASE("only its holder gives a sandbox back") {
  with_task i;
  i.create("b1");
  i.heard_at(i.at("b1"), "sandbox.create");
  const auto other = i.make_task();
  i.say(other, "org/acme", "org.release_sandbox", {{"sandbox", "b1"}});
  i.say(other, "org/acme", "org.create_sandbox", {{"sandbox", "b2"}, {"spec", json::object()}});
  CHECK(i.sandboxes([](const json& shown) { return shown["count"] == 2; })["by_state"] ==
        json{{"creating", 2}});
  i.say(i.task, "org/acme", "org.release_sandbox", {{"sandbox", "b1"}});
  i.heard_at(i.at("b1"), "sandbox.delete");
  i.sandboxes([](const json& shown) { return shown["by_state"].contains("destroying"); });
}

TEST_CASE("no sandbox is made while the disk is low") {
  with_task i;
  const auto report = [&](std::int64_t free) {
    const json disk{{"free_bytes", free}, {"total_bytes", 100'000'000'000}};
    REQUIRE(i.h.as_host("capacity", "capacity.report_disk", disk).ok());
    i.await([&](const json& shown) { return shown["warnings"].empty() == (free > 1); });
  };
  report(1);
  i.create("b1");
  // Messages of one pair stay in order: once this one shows, the first has been refused.
  i.say(i.task, "org/acme", "org.apply_task_summary",
        {{"task", i.task}, {"title", "T"}, {"status", "error"}, {"updated_at", 1}});
  i.await([](const json& shown) { return shown["counts"].contains("error"); });
  report(90'000'000'000);
  i.create("b2");
  const auto s = i.sandboxes([](const json& shown) { return shown["count"] > 0; });
  CHECK(s["count"] == 1);
  CHECK(s["recent"][0]["sandbox"] == "b2");
}
