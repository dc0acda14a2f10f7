#include "tests/actors/workshop.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

std::vector<std::string> step_names(const json& task) {
  std::vector<std::string> names;
  for (const auto& s : task["steps"]) names.push_back(s["name"]);
  return names;
}

using names = std::vector<std::string>;

}  // namespace

TEST_CASE("secrets of a repository go to its setup command and to agents, and are no part of the sandbox") {
  workshop w;
  const json secret{{"secret", "api-key"}};
  w.add_repository(
      "gadgets", {{"setup_command", "make deps"}, {"environment", {{"MODE", "fast"}, {"API_KEY", secret}}}});
  w.make_task("Fix the login", {{"repository", "gadgets"}});
  w.mirror();
  CHECK(w.create_sandbox()["environment"] == json{{"MODE", "fast"}});
  w.checkout();
  const auto setup = w.h.effect("sandbox.exec");
  CHECK(setup->body()["environment"]["API_KEY"] == secret);
  setup->succeed(
      {{"exit_code", 0}, {"timed_out", false}, {"stdout", ""}, {"stderr", ""}, {"duration_ms", 1}});
  w.no_changes();
  CHECK(w.h.effect("agent.start")->body()["environment"]["API_KEY"] == secret);
}

TEST_CASE("a task goes through its steps in order, and the organization shows where it ends") {
  workshop w;
  w.add_repository("gadgets", {{"setup_command", "make deps"}});
  w.make_task("Fix the login", {{"repository", "gadgets"}});
  w.mirror();
  const auto asked = w.create_sandbox();
  CHECK(asked["mounts"][0]["source"] == "mirror:widgets");
  CHECK(asked["requirements"]["network"]["rule"] == "public");
  const auto checkout = w.h.effect("git.checkout");
  CHECK(checkout->body()["base_branch"] == "main");
  CHECK(checkout->body()["existing"] == false);
  checkout->succeed({{"head", "c0"}, {"base", "c0"}, {"created", true}, {"path", "/workspace"}});
  const auto setup = w.h.effect("sandbox.exec");
  CHECK(setup->body()["args"][1] == "make deps");
  setup->succeed({{"exit_code", 0}, {"timed_out", false}, {"stdout", "ok\n"}, {"stderr", ""}});
  w.no_changes();
  auto a = w.start_agent();
  CHECK(step_names(w.await_status(w.task, "running")) ==
        names{"slot", "mirror", "sandbox", "checkout", "setup", "session", "prompt"});
  const auto log = w.h.ask(w.task, "task.step_log", {{"step", "setup"}});
  CHECK(log.result()["log"] == "ok\n");
  w.end_turn(a);
  w.diff(1, "c0");
  w.saved();
  w.await_status(w.task, "idle");
  const auto org = w.h.await("org/acme", [](const json& s) {
    return s["tasks"][0]["status"] == "idle" && s["tasks"][0]["diff"]["files"] == 1;
  });
  CHECK(org["tasks"][0]["sandbox_state"] == "running");
  const auto diff = w.h.ask(w.task, "task.diff", {{"path", "f0"}});
  CHECK(diff.result()["files"][0]["diff"] == "+++ f0");
}

TEST_CASE("a failed step says what failed, gives the slot back, and a retry goes through") {
  workshop w;
  w.make_task();
  w.h.effect("git.mirror")->fail({.status = 502, .code = "git_failed", .detail = "the remote hung up"});
  const auto s = w.await_status(w.task, "error");
  CHECK(s["error"].get<std::string>().find("the remote hung up") != std::string::npos);
  CHECK(s["steps"].back()["state"] == "failed");
  w.h.await("capacity", [](const json& c) { return c["running"] == 0; });
  w.must(w.task, "task.retry");
  w.begin();
  w.await_status(w.task, "running");
}

TEST_CASE("a setup command that fails stops the task with its output") {
  workshop w;
  w.add_repository("gadgets", {{"setup_command", "make deps"}});
  w.make_task("x", {{"repository", "gadgets"}});
  w.mirror();
  w.create_sandbox();
  w.checkout();
  w.h.effect("sandbox.exec")
      ->succeed({{"exit_code", 2}, {"timed_out", false}, {"stdout", ""}, {"stderr", "no rule to make deps"}});
  const auto s = w.await_status(w.task, "error");
  CHECK(s["error"].get<std::string>().find("no rule to make deps") != std::string::npos);
}

TEST_CASE("beyond the limit tasks wait in line and start by themselves") {
  workshop w;
  REQUIRE(w.h.call("capacity", "capacity.set_limits", {{"max_running", 1}}).ok());
  w.make_task();
  auto a = w.begin();
  const auto first = w.task;
  w.make_task("second");
  CHECK(w.h.await(w.task, [](const json& s) { return s.contains("position"); })["position"] == 1);
  CHECK(w.h.snapshot(w.task)["status"] == "queued");
  w.end_turn(a);
  w.mirror();
  w.await_status(w.task, "provisioning");
  w.await_status(first, "idle");
}

TEST_CASE("a message wakes a paused sandbox without preparing it again") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.end_turn(a);
  w.no_changes();
  w.await_status(w.task, "idle");
  w.must(w.sandbox, "sandbox.pause");
  w.h.effect("sandbox.pause")->succeed({{"state", "paused"}});
  w.h.await(w.task, [](const json& s) { return s["sandbox"]["state"] == "paused"; });
  w.must(w.task, "task.send_message", {{"text", "go on"}});
  w.h.effect("sandbox.resume")->succeed({{"state", "running"}});
  w.prompt = w.h.effect("agent.prompt");
  CHECK(w.prompt->body()["prompt"][0]["text"] == "go on");
  CHECK(w.h.waiting("git.checkout") == 0);
  CHECK(w.h.waiting("agent.start") == 0);
}

TEST_CASE("a lost sandbox shows, and a retry gives a new one with the saved work") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.end_turn(a);
  w.diff(2, "c1");
  w.saved("w7.bundle");
  w.h.await(w.task, [](const json& s) { return s.contains("saved_work"); });
  w.watch->fail({.status = 404, .code = "not_found", .detail = "the supervisor is gone"});
  const auto s = w.await_status(w.task, "error");
  CHECK(s["error"].get<std::string>().find("task.retry") != std::string::npos);
  const auto old = w.sandbox;
  w.must(w.task, "task.retry");
  w.mirror();
  w.create_sandbox("local:2");
  CHECK(w.sandbox != old);
  w.checkout();
  const auto restore = w.h.effect("git.restore_work");
  CHECK(restore->body()["bundle"] == "w7.bundle");
  CHECK(restore->body()["handle"] == "local:2");
  restore->succeed({{"commit", "c1"}});
  CHECK(w.h.effect("agent.start")->body()["agent_session"] == "a1");
  CHECK(w.h.effect("sandbox.destroy")->actor().str() == old);
}

TEST_CASE("a sandbox that is lost in the middle of a prompt ends the turn and not the conversation") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.watch->fail({.status = 404, .code = "not_found", .detail = "the machine restarted"});
  w.await_status(w.task, "error");
  w.h.await(w.session, [](const json& s) { return s["turns"] == 1 && s["connected"] == false; });
  CHECK(w.transcript("turn_ended").at(0)["stop_reason"].get<std::string>().starts_with("sandbox_"));
  w.must(w.task, "task.send_message", {{"text", "still there?"}});
  w.mirror();
  w.create_sandbox("local:2");
}

TEST_CASE("archiving saves the work, gives the sandbox back, and comes back with it") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  CHECK(w.refused(w.task, "task.archive") == "wrong_state");
  w.end_turn(a);
  w.no_changes();
  w.await_status(w.task, "idle");
  w.must(w.task, "task.archive");
  w.await_status(w.task, "archiving");
  w.saved("w9.bundle");
  w.await_status(w.task, "archived");
  w.h.effect("sandbox.destroy")->succeed({{"existed", true}});
  w.h.await(w.session, [](const json& s) { return s["sandbox_state"] == "archived"; });
  CHECK(w.refused(w.session, "session.prompt", {{"text", "x"}}) == "task_archived");
  CHECK(w.refused(w.task, "task.send_message", {{"text", "x"}}) == "wrong_state");
  w.must(w.task, "task.unarchive");
  w.must(w.task, "task.send_message", {{"text", "x"}});
  w.mirror();
  w.create_sandbox("local:2");
  w.checkout();
  CHECK(w.h.effect("git.restore_work")->body()["bundle"] == "w9.bundle");
}

TEST_CASE("work that is not pushed is only killed with discard, and retry brings the task back") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.end_turn(a);
  w.diff(1, "c0");
  w.saved();
  w.await_status(w.task, "idle");
  CHECK(w.refused(w.task, "task.kill") == "unsaved_work");
  w.must(w.task, "task.kill", {{"discard", true}});
  w.await_status(w.task, "killed");
  w.h.effect("sandbox.destroy")->succeed({{"existed", true}});
  CHECK(w.refused(w.task, "task.commit", {{"message", "x"}}) == "wrong_state");
  w.must(w.task, "task.retry");
  w.await_status(w.task, "idle");
}

TEST_CASE("killing a task that waits for its sandbox leaves nothing behind") {
  workshop w;
  w.make_task();
  w.mirror();
  const auto creating = w.h.effect("sandbox.create");
  w.must(w.task, "task.kill");
  const auto destroy = w.h.effect("sandbox.destroy");
  CHECK(destroy->body()["nonce"] == creating->body()["nonce"]);
  creating->succeed({{"handle", "late"}});
  destroy->succeed({{"existed", true}});
  w.h.await("org/acme", [](const json& s) { return s["tasks"][0]["status"] == "killed"; });
  w.h.await("capacity", [](const json& c) { return c["running"] == 0 && c["waiting"] == 0; });
  CHECK(w.h.waiting("git.checkout") == 0);
}

TEST_CASE("a deleted task takes its sessions and its sandbox with it") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  const auto id = w.task.substr(w.task.rfind('/') + 1);
  w.must("org/acme", "org.delete_task", {{"task", id}, {"discard", true}});
  w.h.effect("sandbox.destroy")->succeed({{"existed", true}});
  w.h.await("org/acme", [](const json& s) { return s["tasks"].empty(); });
  CHECK(w.refused(w.task, "task.retry") == "not_found");
}

TEST_CASE("whoever sends a message becomes the owner, and a second session is a conversation of its own") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  const auto other =
      w.must(w.task, "task.create_session", {{"title", "Review"}, {"agent", "codex"}})["session"];
  CHECK(w.h.snapshot(w.task)["sessions"].size() == 2);
  const auto sent =
      w.h.call(w.task, "task.send_message", {{"text", "look at it"}, {"session", other}}, "bob");
  REQUIRE(sent.ok());
  CHECK(w.h.snapshot(w.task)["owner"] == "bob");
  const auto start = w.h.effect("agent.start");
  CHECK(start->body()["agent"] == "codex");
  CHECK(start->actor().id() == other.get<std::string>());
}

TEST_CASE("a commit answers an operation, which ends with the commit and a new diff") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.end_turn(a);
  w.no_changes();
  w.await_status(w.task, "idle");
  const auto op = w.must(w.task, "task.commit", {{"message", "Fix the login"}})["operation"];
  const auto commit = w.h.effect("git.commit");
  CHECK(commit->body()["author"]["name"] == "ada");
  commit->succeed({{"commit", "c5"}, {"files", 1}});
  w.diff(1, "c5");
  w.saved();
  const auto s = w.h.await(w.task, [](const json& t) {
    return t["operations"].size() == 1 && t["operations"][0]["state"] == "done";
  });
  CHECK(s["operations"][0]["operation"] == op);
  CHECK(s["operations"][0]["result"]["commit"] == "c5");
}

TEST_CASE("every change of a task's status stands in the audit log") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.end_turn(a);
  w.no_changes();
  w.await_status(w.task, "idle");
  w.h.await_entry("org/acme/audit-log", "entries", [](const json& e) {
    return e["kind"] == "task.status_changed" && e["payload"]["to"] == "idle" &&
           e["payload"]["from"] == "running";
  });
  w.h.await_entry("org/acme/audit-log", "entries", [](const json& e) { return e["kind"] == "task.created"; });
}

TEST_CASE("a task of an import comes to be without a sandbox, and prepares one for its first message") {
  workshop w;
  w.make_task("");
  const auto s = w.await_status(w.task, "idle");
  CHECK(s["sessions"].empty());
  CHECK(s["sandbox"]["state"] == "none");
  w.must(w.task, "task.send_message", {{"text", "begin"}});
  w.begin();
  CHECK(w.prompt->body()["prompt"][0]["text"] == "begin");
}

TEST_CASE("a server that ends in the middle of preparing goes on where it was") {
  workshop w;
  w.make_task();
  w.mirror();
  w.create_sandbox();
  const auto under_way = w.h.effect("git.checkout");
  w.h.restart();
  w.watch = w.h.feed("sandbox.watch");
  w.checkout();
  w.no_changes();
  w.start_agent();
  CHECK(step_names(w.await_status(w.task, "running")) ==
        names{"slot", "mirror", "sandbox", "checkout", "session", "prompt"});
  CHECK(w.h.waiting("sandbox.create") == 0);
}

TEST_CASE("a removed session gives its slot back and leaves the others alone") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  const auto id = w.session.substr(w.session.rfind('/') + 1);
  const auto other = w.must(w.task, "task.create_session", {{"title", "Review"}})["session"];
  w.must(w.task, "task.remove_session", {{"session", id}});
  w.h.await("capacity", [](const json& c) { return c["running"] == 0; });
  const auto s = w.await_status(w.task, "idle");
  REQUIRE(s["sessions"].size() == 1);
  CHECK(s["sessions"][0]["session"] == other);
  CHECK(w.refused(w.task, "task.send_message", {{"text", "x"}, {"session", id}}) == "not_found");
}
