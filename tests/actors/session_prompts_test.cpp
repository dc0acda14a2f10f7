#include "tests/actors/workshop.h"

using namespace troupe;
using namespace troupe::testing;

TEST_CASE("a prompt runs once the slot, the sandbox and the agent are there, and its end is the feed's") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  CHECK(w.prompt->body()["prompt"][0]["text"] == "Fix the login");
  a.print({agent::message(agent::chunk("I will ")), agent::message(agent::chunk("look."))});
  w.await_status(w.session, "running");
  w.end_turn(a);
  w.await_status(w.session, "idle");
  const auto said = w.transcript("update");
  REQUIRE(said.size() == 1);
  CHECK(said[0]["update"]["content"]["text"] == "I will look.");
  CHECK(said[0]["chunks"] == 2);
  REQUIRE(w.transcript("turn_ended").size() == 1);
  CHECK(w.transcript("turn_ended")[0]["stop_reason"] == "end_turn");
}

TEST_CASE("a second prompt waits, can be moved and removed, and runs after the first") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  const auto second = w.must(w.session, "session.prompt", {{"text", "second"}});
  const auto third = w.must(w.session, "session.prompt", {{"text", "third"}});
  const auto fourth = w.must(w.session, "session.prompt", {{"text", "fourth"}});
  CHECK(second["running"] == false);
  CHECK(fourth["ahead"] == 2);
  w.must(w.session, "session.remove_prompt", {{"prompt", second["prompt"]}});
  w.must(w.session, "session.move_prompt", {{"prompt", fourth["prompt"]}, {"position", 0}});
  const auto s = w.h.snapshot(w.session);
  REQUIRE(s["queue"].size() == 2);
  CHECK(s["queue"][0]["prompt"] == fourth["prompt"]);
  CHECK(w.h.waiting("agent.prompt") == 0);
  w.end_turn(a);
  w.prompt = w.h.effect("agent.prompt");
  CHECK(w.prompt->body()["prompt"][0]["text"] == "fourth");
  CHECK(w.refused(w.session, "session.remove_prompt", {{"prompt", fourth["prompt"]}}) == "not_found");
}

TEST_CASE("cancelling stops the agent, closes its open calls and answers what it asked") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.update(
      {{"sessionUpdate", "tool_call"}, {"toolCallId", "t1"}, {"title", "sleep"}, {"status", "in_progress"}});
  a.print({agent::request(7, "execute", "sleep 100")});
  w.await_status(w.session, "needs_input");
  w.must(w.session, "session.cancel");
  CHECK(w.h.effect("agent.cancel")->body()["agent_session"] == "a1");
  const auto answered = w.h.effect("agent.answer");
  CHECK(answered->body()["option"].is_null());
  CHECK(answered->body()["request_id"] == 7);
  w.end_turn(a, "cancelled");
  w.await_status(w.session, "idle");
  int closed = 0;
  for (const auto& e : w.transcript("update"))
    if (e.contains("closed_by")) {
      CHECK(e["update"]["status"] == "failed");
      ++closed;
    }
  CHECK(closed == 2);  // the announced one, and the one that first appeared in the request
  CHECK(w.transcript("turn_ended")[0]["stop_reason"] == "cancelled");
  CHECK(w.h.snapshot(w.session)["tool_calls"].empty());
  CHECK(w.refused(w.session, "session.cancel") == "nothing_to_cancel");
}

TEST_CASE("a call that the agent leaves open is closed when its turn ends by itself") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.update({{"sessionUpdate", "tool_call"}, {"toolCallId", "t1"}, {"title", "make"}, {"status", "pending"}});
  w.end_turn(a);
  w.await_status(w.session, "idle");
  CHECK(w.h.snapshot(w.session)["tool_calls"].empty());
  const auto last = w.transcript("update").back();
  CHECK(last["closed_by"] == "troupe");
  CHECK(last["update"]["toolCallId"] == "t1");
}

TEST_CASE("an agent that ignores a cancel is ended, and started again for the next prompt") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.must(w.session, "session.cancel");
  w.now.advance(std::chrono::seconds(31));
  CHECK(w.h.effect("agent.stop")->body()["connection"] == a.feed().body()["connection"]);
  w.await_status(w.session, "idle");
  w.must(w.session, "session.prompt", {{"text", "again"}});
  const auto start = w.h.effect("agent.start");
  CHECK(start->body()["agent_session"] == "a1");
  CHECK(start->body()["connection"] != a.feed().body()["connection"]);
}

TEST_CASE("a silent prompt is cancelled at its deadline, and says so") {
  workshop w;
  w.make_task("");
  w.session = w.task + "/session/" +
              w.must(w.task, "task.create_session",
                     {{"prompt", "x"}, {"limits", {{"prompt_seconds", 60}}}})["session"]
                  .get<std::string>();
  auto a = w.begin();
  w.now.advance(std::chrono::seconds(61));
  w.h.effect("agent.cancel");
  w.end_turn(a, "cancelled");
  w.await_status(w.session, "idle");
  const auto end = w.transcript("turn_ended").at(0);
  CHECK(end["stop_reason"] == "deadline");
  CHECK(end["agent_said"] == "cancelled");
}

TEST_CASE("an agent that stops in the middle of its plan is asked to go on, twice in a row") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  const json plan{{"sessionUpdate", "plan"},
                  {"entries",
                   {{{"content", "one"}, {"priority", "medium"}, {"status", "completed"}},
                    {{"content", "two"}, {"priority", "medium"}, {"status", "pending"}}}}};
  a.update(plan);
  for (int guard = 1; guard <= 2; ++guard) {
    w.end_turn(a);
    w.prompt = w.h.effect("agent.prompt");
    CHECK(w.prompt->body()["prompt"][0]["text"].get<std::string>().find("not completed") !=
          std::string::npos);
  }
  SUBCASE("and then left alone") {
    w.end_turn(a);
    w.await_status(w.session, "idle");
    CHECK(w.transcript("turn_ended").size() == 3);
    CHECK(w.transcript("prompt").size() == 3);
  }
  SUBCASE("unless it called a tool meanwhile") {
    a.update({{"sessionUpdate", "tool_call"}, {"toolCallId", "t1"}, {"status", "completed"}});
    w.end_turn(a);
    w.prompt = w.h.effect("agent.prompt");
    CHECK(w.transcript("prompt").back()["guard"] == 1);
  }
}

TEST_CASE("a prompt to a closed session fails at once, and a resumed one takes it") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.end_turn(a);
  w.await_status(w.session, "idle");
  w.must(w.session, "session.close");
  CHECK(w.refused(w.session, "session.prompt", {{"text", "x"}}) == "session_closed");
  const auto id = w.session.substr(w.session.rfind('/') + 1);
  w.h.await(w.task, [](const json& t) { return t["sessions"][0]["status"] == "closed"; });
  CHECK(w.refused(w.task, "task.send_message", {{"text", "x"}, {"session", id}}) == "session_closed");
  w.must(w.session, "session.resume");
  const auto start = w.h.effect("agent.start");
  CHECK(start->body()["agent_session"] == "a1");
}

TEST_CASE("an empty prompt is refused before anything happens") {
  workshop w;
  w.make_task();
  CHECK(w.refused(w.session, "session.prompt", {{"text", " \n"}}) == "empty_prompt");
  CHECK(w.refused(w.session, "session.prompt", {{"text", "a"}, {"content", json::array()}}) ==
        "invalid_body");
  CHECK(w.refused(w.session, "session.prompt") == "invalid_body");
}

TEST_CASE(
    "tokens are summed over turns, cost counts up in a connection, and a budget stops the next prompt") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.must(w.session, "session.set_limits", {{"max_tokens", 100}});
  a.update({{"sessionUpdate", "usage_update"},
            {"used", 5},
            {"size", 9},
            {"cost", {{"amount", 0.5}, {"currency", "USD"}}}});
  a.print({agent::response(w.prompt->body()["request_id"],
                           {{"stopReason", "end_turn"},
                            {"usage", {{"inputTokens", 90}, {"outputTokens", 20}, {"totalTokens", 110}}}})});
  const auto s = w.await_status(w.session, "error");
  CHECK(s["usage"]["total_tokens"] == 110);
  CHECK(s["usage"]["cost"] == 0.5);
  CHECK(w.refused(w.session, "session.prompt", {{"text", "more"}}) == "budget_exhausted");
}
