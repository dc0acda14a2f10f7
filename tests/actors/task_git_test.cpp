// Pushing a task's branch and bringing it up to date, as the task sees it.
#include "tests/actors/workshop.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

const json clean{{"dirty", false}};

}  // namespace

TEST_CASE("a push asks with the owner's credential, shows what came of it, and what is pushed may be lost") {
  workshop w;
  w.make_task();
  w.rest(1, "c5");
  CHECK(w.refused(w.task, "task.kill") == "unsaved_work");
  const auto op = w.must(w.task, "task.push")["operation"];
  CHECK(w.refused(w.task, "task.push") == "push_running");
  const auto push = w.h.effect("git.push");
  CHECK(push->body()["branch"] == "troupe/fix-the-login");
  CHECK(push->body()["base"] == "c0");
  CHECK(push->body()["owner"] == "ada");
  CHECK_FALSE(push->body().contains("credential"));
  push->succeed({{"commit", "c5"},
                 {"branch", "troupe/fix-the-login"},
                 {"moved", true},
                 {"created", true},
                 {"link", "https://x.org/a/pull/new/b"},
                 {"dirty", false}});
  w.diff(1, "c5", clean);
  w.saved();
  const auto s = w.h.await(w.task, [](const json& t) { return t["diff"]["unpushed"] == false; });
  CHECK(s["operations"][0]["operation"] == op);
  CHECK(s["operations"][0]["state"] == "done");
  CHECK(s["pushed"]["commit"] == "c5");
  CHECK(s["pushed"]["by"] == "ada");
  CHECK(s["pushed"]["link"] == "https://x.org/a/pull/new/b");
  w.h.await_entry("org/acme/audit-log", "entries",
                  [](const json& e) { return e["kind"] == "task.pushed" && e["payload"]["commit"] == "c5"; });
  w.must(w.task, "task.kill");
}

TEST_CASE(
    "a push that fails shows its code and words, loses nothing, and the next goes with the credential of who "
    "pushes then") {
  workshop w;
  w.add_repository("gadgets", {{"credential", "deploy"}});
  w.make_task("Fix the login", {{"repository", "gadgets"}});
  w.rest(1, "c5");
  w.must(w.task, "task.push");
  const auto push = w.h.effect("git.push");
  CHECK(push->body()["credential"] == "deploy");
  push->fail({.status = 502, .code = "protected_branch", .detail = "it takes no pushes: ask who keeps it"});
  const auto failed = w.ended_operation();
  CHECK(failed["state"] == "failed");
  CHECK(failed["code"] == "protected_branch");
  CHECK(failed["error"] == "it takes no pushes: ask who keeps it");
  const auto s = w.h.snapshot(w.task);
  CHECK(s["status"] == "idle");
  CHECK(s["diff"]["unpushed"] == true);
  CHECK_FALSE(s.contains("pushed"));
  w.h.await_entry("org/acme/audit-log", "entries", [](const json& e) {
    return e["kind"] == "task.push_failed" && e["payload"]["code"] == "protected_branch";
  });
  REQUIRE(w.h.call(w.task, "task.push", json::object(), "bob").ok());
  CHECK(w.h.effect("git.push")->body()["owner"] == "bob");
  CHECK(w.h.snapshot(w.task)["owner"] == "bob");
}

TEST_CASE("whoever is made the owner by somebody else has no credential shown until they act themselves") {
  workshop w;
  REQUIRE(w.h.call("org/acme", "org.add_member", {{"user", "bob"}, {"role", "member"}}).ok());
  w.make_task("Fix the login", {{"owner", "bob"}});
  const auto first = w.h.effect("git.mirror");
  CHECK_FALSE(first->body().contains("owner"));
  first->fail({.status = 502, .code = "remote_unreachable", .detail = "nobody answers"});
  w.await_status(w.task, "error");
  REQUIRE(w.h.call(w.task, "task.send_message", {{"text", "go on"}}, "bob").ok());
  CHECK(w.h.effect("git.mirror")->body()["owner"] == "bob");
}

TEST_CASE("a task is handed on by its owner and by an administrator, and taken by anybody for themselves") {
  workshop w;
  w.make_task();
  w.rest(1, "c5");
  const auto set = [&](const std::string& by, const std::string& owner) {
    const auto r = w.h.call(w.task, "task.set_owner", {{"owner", owner}}, by);
    return r.ok() ? 200 : r.error().status;
  };
  CHECK(set("eve", "bob") == 403);
  CHECK(w.h.snapshot(w.task)["owner"] == "ada");
  CHECK(set("eve", "eve") == 200);
  CHECK(set("eve", "ada") == 200);
  const auto shown_by = [&](const std::string& asks) {
    REQUIRE(w.h.call(w.task, "task.update_from_base", json::object(), asks).ok());
    const auto run = w.h.effect("git.mirror");
    run->fail({.status = 502, .code = "remote_unreachable", .detail = "nobody answers"});
    w.ended_operation();
    return run->body().value("owner", "");
  };
  CHECK(shown_by("eve") == "");  // ada was given it back, and has not said anything
  CHECK(set("ada", "ada") == 200);
  CHECK(shown_by("eve") == "ada");
  w.must(w.task, "task.assign", {{"owner", "bob"}});
  CHECK(w.h.snapshot(w.task)["owner"] == "bob");
  CHECK(shown_by("eve") == "");
}

TEST_CASE("a member names no secrets for the programs of a task") {
  workshop w;
  REQUIRE(w.h.call("org/acme", "org.add_member", {{"user", "bob"}, {"role", "member"}}).ok());
  const auto create = [&](const std::string& by, json server) {
    const json body{{"repository", "widgets"}, {"description", "x"}, {"mcp_servers", json::array({server})}};
    const auto r = w.h.call("org/acme", "org.create_task", body, by);
    return r.ok() ? 200 : r.error().status;
  };
  const json in_environment{
      {"name", "a"}, {"command", "sh"}, {"environment", {{"KEY", {{"secret", "deploy"}}}}}};
  const json in_headers{{"name", "a"},
                        {"type", "http"},
                        {"url", "https://mcp.example.org"},
                        {"headers", {{"X-Key", {{"secret", "deploy"}}}}}};
  const json plain{{"name", "a"}, {"command", "sh"}, {"environment", {{"KEY", "text"}}}};
  CHECK(create("bob", in_environment) == 403);
  CHECK(create("bob", in_headers) == 403);
  CHECK(create("bob", plain) == 200);
  CHECK(create("ada", in_environment) == 200);
}

TEST_CASE(
    "a push that the server's end interrupts is done again, and one of a sleeping sandbox says what wakes "
    "it") {
  workshop w;
  w.make_task();
  w.rest(1, "c5");
  w.must(w.task, "task.push");
  const auto under_way = w.h.effect("git.push");
  w.h.restart();
  w.watch = w.h.feed("sandbox.watch");
  w.h.effect("git.push")->succeed({{"commit", "c5"}, {"branch", "b"}, {"moved", true}, {"created", false}});
  CHECK(w.ended_operation()["state"] == "done");
  w.diff(1, "c5");
  w.saved();
  w.h.await(w.task, [](const json& s) { return !s["diff"].contains("refreshing"); });
  w.must(w.sandbox, "sandbox.pause");
  w.h.effect("sandbox.pause")->succeed({{"state", "paused"}});
  w.h.await(w.task, [](const json& s) { return s["sandbox"]["state"] == "paused"; });
  CHECK(w.refused(w.task, "task.push") == "sandbox_not_running");
}

TEST_CASE("conflicts with the base show as data until they are resolved, and the agent can be asked to") {
  workshop w;
  w.make_task();
  w.rest(1, "c5");
  w.must(w.task, "task.update_from_base", {{"resolve", true}});
  CHECK(w.refused(w.task, "task.update_from_base") == "update_running");
  w.mirror();
  const auto update = w.h.effect("git.update");
  CHECK(update->body()["from"] == "main");
  CHECK(update->body()["branch"] == "troupe/fix-the-login");
  const json files{{{"path", "f0"}, {"how", "both_modified"}}};
  update->succeed({{"state", "conflicts"},
                   {"head", "c5"},
                   {"base", "c7"},
                   {"commit", "c7"},
                   {"files", files},
                   {"count", 1}});
  const json merge{{"commit", "c7"}, {"files", files}, {"count", 1}};
  w.prompt = w.h.effect("agent.prompt");
  CHECK(w.prompt->body()["prompt"][0]["text"].get<std::string>().find("- f0 (both_modified)") !=
        std::string::npos);
  const auto looked = w.h.effect("git.diff");
  CHECK(looked->body()["base"] == "c7");
  looked->succeed({{"head", "c5"},
                   {"files", json::array()},
                   {"additions", 0},
                   {"deletions", 0},
                   {"diff", json::object()},
                   {"dirty", true},
                   {"merge", merge}});
  w.saved();
  const auto s =
      w.h.await(w.task, [](const json& t) { return t.contains("merge") && t["status"] == "running"; });
  CHECK(s["merge"]["branch"] == "main");
  CHECK(s["merge"]["files"] == files);
  CHECK(s["operations"][0]["result"]["state"] == "conflicts");
  CHECK(w.refused(w.task, "task.abort_update") == "wrong_state");
}

TEST_CASE("a merge that waits is not begun twice, goes away when it is given up, and the base comes back") {
  workshop w;
  w.make_task();
  w.rest(1, "c5");
  w.must(w.task, "task.update_from_base", {{"branch", "release"}});
  w.mirror();
  const auto update = w.h.effect("git.update");
  CHECK(update->body()["from"] == "release");
  const json files{{{"path", "f0"}, {"how", "both_added"}}};
  update->succeed({{"state", "conflicts"},
                   {"head", "c5"},
                   {"base", "c7"},
                   {"commit", "c9"},
                   {"files", files},
                   {"count", 1}});
  w.diff(1, "c5", {{"merge", {{"commit", "c9"}, {"files", files}, {"count", 1}}}});
  w.saved();
  w.h.await(w.task, [](const json& s) { return s.contains("merge") && !s["diff"].contains("refreshing"); });
  CHECK(w.refused(w.task, "task.update_from_base") == "merge_under_way");
  w.must(w.task, "task.abort_update");
  w.h.effect("git.abort_update")->succeed({{"head", "c5"}, {"base", "c0"}});
  const auto look = w.h.effect("git.diff");
  CHECK(look->body()["base"] == "c0");
  const auto s = w.h.await(w.task, [](const json& t) { return !t.contains("merge"); });
  bool ended = false;
  for (const auto& o : s["operations"])
    ended = ended || (o["what"] == "abort_update" && o["state"] == "done");
  CHECK(ended);
}

TEST_CASE("an update whose base cannot be fetched fails in words") {
  workshop w;
  w.make_task();
  w.rest(1, "c5");
  w.must(w.task, "task.update_from_base");
  w.h.effect("git.mirror")
      ->fail({.status = 502, .code = "credential_refused", .detail = "it may have expired"});
  const auto failed = w.ended_operation();
  CHECK(failed["code"] == "credential_refused");
  CHECK(failed["what"] == "update");
  CHECK(w.h.snapshot(w.task)["status"] == "idle");
}
