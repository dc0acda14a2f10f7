#include "tests/actors/workshop.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

// A task with a running sandbox whose agent rests.
struct with_sandbox : workshop {
  with_sandbox() {
    make_task();
    auto a = begin();
    end_turn(a);
    no_changes();
    await_status(task, "idle");
  }
  json await_state(const std::string& state) {
    return h.await(sandbox, [&](const json& s) { return s["state"] == state && !s.contains("doing"); });
  }
  void events(int position, json entries) {
    auto taken = std::make_shared<std::promise<void>>();
    auto committed = taken->get_future();
    watch->deliver(std::to_string(position), std::move(entries), [taken] { taken->set_value(); });
    REQUIRE(committed.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  }
};

}  // namespace

TEST_CASE("a sandbox pauses, resumes, is killed and starts again with its files") {
  with_sandbox w;
  w.must(w.sandbox, "sandbox.pause");
  CHECK(w.refused(w.sandbox, "sandbox.kill") == "sandbox_busy");
  w.h.effect("sandbox.pause")->succeed({{"state", "paused"}});
  w.await_state("paused");
  CHECK(w.refused(w.sandbox, "sandbox.pause") == "wrong_state");
  w.must(w.sandbox, "sandbox.resume");
  w.h.effect("sandbox.resume")->succeed({{"state", "running"}});
  w.await_state("running");
  w.must(w.sandbox, "sandbox.kill");
  w.h.effect("sandbox.kill")->succeed({{"state", "stopped"}});
  w.await_state("stopped");
  w.must(w.sandbox, "sandbox.start");
  w.h.effect("sandbox.start")->succeed({{"handle", "local:1b"}, {"tier", "namespaces"}});
  CHECK(w.await_state("running")["generation"] == 2);
}

TEST_CASE("a process gets its id at once, and the daemon's own and its end later") {
  with_sandbox w;
  CHECK(w.refused(w.sandbox, "sandbox.run",
                  {{"command", "env"}, {"environment", {{"KEY", {{"secret", "deploy"}}}}}}) ==
        "invalid_body");
  const auto id = w.must(w.sandbox, "sandbox.run", {{"command", "make"}})["process"];
  w.events(1, {{{"type", "process"},
                {"process", {{"id", "proc_1"}, {"command", "make"}, {"status", "running"}, {"pid", 9}}}}});
  w.h.effect("sandbox.run")
      ->succeed({{"process", {{"id", "proc_1"}, {"command", "make"}, {"status", "running"}}}});
  auto s = w.h.await(w.sandbox, [](const json& v) {
    return v["processes"].size() == 1 && v["processes"][0].contains("daemon_id") &&
           v["processes"][0]["status"] == "running";
  });
  CHECK(s["processes"][0]["id"] == id);
  w.must(w.sandbox, "sandbox.stop_process", {{"process", id}});
  CHECK(w.h.effect("sandbox.process")->body()["process"] == "proc_1");
  w.events(2,
           {{{"type", "process"}, {"process", {{"id", "proc_1"}, {"status", "exited"}, {"exitCode", 143}}}}});
  s = w.h.snapshot(w.sandbox);
  CHECK(s["processes"][0]["exitCode"] == 143);
  CHECK(w.refused(w.sandbox, "sandbox.kill_process", {{"process", id}}) == "process_exited");
  CHECK(w.refused(w.sandbox, "sandbox.kill_process", {{"process", "nope"}}) == "not_found");
}

TEST_CASE("what is not enforced is audited and shown") {
  workshop w;
  w.make_task();
  w.mirror();
  const auto run = w.h.effect("sandbox.create");
  run->succeed({{"handle", "local:1"},
                {"tier", "none"},
                {"items", {{"network", {{"state", "absent"}, {"why", "no namespaces"}}}}},
                {"steps", json::array()}});
  const auto entry = w.h.await_entry("org/acme/audit-log", "entries",
                                     [](const json& e) { return e["kind"] == "sandbox.weakened"; });
  CHECK(entry["payload"]["items"].contains("network"));
  CHECK(w.h.snapshot(run->actor().str())["items"]["network"]["state"] == "absent");
}

TEST_CASE("a sandbox that cannot be made says why to its task") {
  workshop w;
  w.make_task();
  w.mirror();
  const auto run = w.h.effect("sandbox.create");
  run->fail({.status = 422, .code = "unsupported", .detail = "private_files needs user namespaces (EPERM)"});
  const auto s = w.await_status(w.task, "error");
  CHECK(s["error"].get<std::string>().find("EPERM") != std::string::npos);
  w.must(w.task, "task.retry");
  w.mirror();
  CHECK(w.h.effect("sandbox.create")->actor() != run->actor());
}

TEST_CASE("a feed that breaks is not a lost sandbox: it is looked at, and followed again") {
  with_sandbox w;
  w.watch->fail({.status = 502, .code = "transport", .detail = "connection reset"});
  w.h.effect("sandbox.inspect")->succeed({{"state", "running"}});
  w.watch = w.h.feed("sandbox.watch");
  w.await_state("running");
  CHECK(w.h.snapshot(w.task)["status"] == "idle");
}

TEST_CASE("a destruction that fails is tried again") {
  with_sandbox w;
  w.must(w.sandbox, "sandbox.destroy");
  w.h.effect("sandbox.destroy")->fail({.status = 503, .code = "broken", .detail = "busy mount"});
  const auto s = w.h.await(w.sandbox, [](const json& v) { return v.contains("error"); });
  CHECK(s["error"].get<std::string>().find("busy mount") != std::string::npos);
  w.now.advance(std::chrono::seconds(61));
  w.h.effect("sandbox.destroy")->succeed({{"existed", true}});
  w.await_state("destroyed");
  w.h.await(w.task, [](const json& t) { return t["sandbox"]["state"] == "destroyed"; });
}

TEST_CASE("no isolation is only asked for by name, and then nothing is required") {
  workshop w;
  w.make_task("x", {{"provider", "unsafe"}});
  w.mirror();
  const auto asked = w.create_sandbox();
  CHECK(asked["unsafe_no_isolation"] == true);
  for (const auto& [name, wanted] : asked["requirements"].items())
    CHECK_MESSAGE(wanted["best_effort"] == true, name);
  w.make_task("y");
  w.mirror();
  CHECK_FALSE(w.h.effect("sandbox.create")->body().contains("unsafe_no_isolation"));
}
