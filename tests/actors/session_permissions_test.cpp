#include "tests/actors/workshop.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

json pending(const json& s) {
  return s["permissions"];
}

json await_request(workshop& w) {
  return w.h.await(w.session, [](const json& s) { return s["permissions"].size() == 1; })["permissions"][0];
}

}  // namespace

TEST_CASE("a permission request pauses the session and goes on with the answer of a person") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.print({agent::request("uuid-1", "execute", "make")});
  const auto asked = await_request(w);
  CHECK(asked["title"] == "make");
  w.h.await(w.task, [](const json& t) { return t["status"] == "needs_input"; });
  w.h.await("org/acme",
            [](const json& s) { return s["tasks"][0]["sessions"][0]["pending_permissions"] == 1; });
  w.must(w.session, "session.answer_permission",
         {{"permission", asked["permission"]}, {"answer", "allow_once"}});
  const auto answered = w.h.effect("agent.answer");
  CHECK(answered->body()["option"] == "yes");
  CHECK(answered->body()["request_id"] == "uuid-1");
  w.await_status(w.session, "running");
  CHECK(w.refused(w.session, "session.answer_permission",
                  {{"permission", asked["permission"]}, {"answer", "reject"}}) == "permission_settled");
}

TEST_CASE(
    "a call that the agent never announced is opened by its request for permission, and closed with the "
    "turn") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.print({agent::request(7, "execute", "make")});
  await_request(w);
  const auto calls = [&] { return w.h.snapshot(w.session)["tool_calls"]; };
  REQUIRE(calls().size() == 1);
  CHECK(calls()[0]["tool_call"] == "call-7");
  CHECK(calls()[0]["title"] == "make");
  w.end_turn(a, "cancelled");
  w.await_status(w.session, "idle");
  CHECK(calls().empty());
}

TEST_CASE("a request that nobody answers is rejected when its time is over") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.print({agent::request(0, "execute", "make")});
  await_request(w);
  w.now.advance(std::chrono::seconds(3601));
  CHECK(w.h.effect("agent.answer")->body()["option"] == "no");
  w.await_status(w.session, "running");
  w.end_turn(a);
  w.await_status(w.session, "idle");
  CHECK(w.transcript("turn_ended")[0]["refused"] == true);
}

TEST_CASE("what was always allowed is not asked again, and other commands are") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.print({agent::request(1, "execute", "make test")});
  w.must(w.session, "session.answer_permission",
         {{"permission", await_request(w)["permission"]}, {"answer", "allow_always"}});
  CHECK(w.h.effect("agent.answer")->body()["option"] == "forever");
  a.print({agent::request(2, "execute", "make test")});
  CHECK(w.h.effect("agent.answer")->body()["option"] == "yes");
  CHECK(pending(w.h.snapshot(w.session)).empty());
  a.print({agent::request(3, "execute", "rm -r /")});
  CHECK(await_request(w)["title"] == "rm -r /");
}

TEST_CASE("requests of an ended turn are withdrawn") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.print({agent::request(1, "edit", "Write a")});
  const auto asked = await_request(w);
  w.end_turn(a, "cancelled");
  w.await_status(w.session, "idle");
  CHECK(pending(w.h.snapshot(w.session)).empty());
  const auto answered = w.transcript("permission_answered");
  REQUIRE(answered.size() == 1);
  CHECK(answered[0]["answer"] == "withdrawn");
  CHECK(w.refused(w.session, "session.answer_permission",
                  {{"permission", asked["permission"]}, {"answer", "allow_once"}}) != "");
}

TEST_CASE("an option that the agent did not offer is refused") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.print({agent::request(1, "edit", "Write a")});
  CHECK(w.refused(
            w.session, "session.answer_permission",
            {{"permission", await_request(w)["permission"]}, {"answer", "allow_once"}, {"option", "sudo"}}) ==
        "unknown_option");
}
