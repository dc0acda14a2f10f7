// Usage summed up, and budgets that stop what runs.
#include "actors/budget.h"

#include "tests/actors/workshop.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

json cost_update(double amount) {
  return {{"sessionUpdate", "usage_update"},
          {"used", 10},
          {"size", 100},
          {"cost", {{"amount", amount}, {"currency", "USD"}}}};
}

void end_with_tokens(workshop& w, agent& a, int tokens) {
  a.print({agent::response(w.prompt->body()["request_id"],
                           {{"stopReason", "end_turn"}, {"usage", {{"totalTokens", tokens}}}})});
  w.prompt->succeed({{"stop_reason", "end_turn"}});
}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE(
    "usage and cost are summed for the session, the task, its owner of that time and the organization") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.update(cost_update(0.5));
  end_with_tokens(w, a, 1000);
  w.no_changes();
  w.await_status(w.task, "idle");
  w.must(w.task, "task.set_owner", {{"owner", "bob"}});
  w.must(w.session, "session.prompt", {{"text", "more"}});
  w.prompt = w.h.effect("agent.prompt");
  a.update(cost_update(0.75));
  end_with_tokens(w, a, 500);
  w.no_changes();
  const auto task = w.h.await(w.task, [](const json& s) { return s["usage"]["tokens"] == 1500; });
  CHECK(task["usage"]["cost"] == 0.75);
  CHECK(task["usage"]["currency"] == "USD");
  CHECK(task["usage"]["people"] ==
        json({{{"person", "ada"}, {"tokens", 1000}, {"cost", 0.5}, {"currency", "USD"}},
              {{"person", "bob"}, {"tokens", 500}, {"cost", 0.25}, {"currency", "USD"}}}));
  CHECK(w.h.await(w.session,
                  [](const json& s) { return s["usage"]["total_tokens"] == 1500; })["usage"]["cost"] == 0.75);

  // It stays when the session goes, and when the task does.
  w.must(w.task, "task.remove_session", {{"session", w.session.substr(w.session.rfind('/') + 1)}});
  CHECK(w.h.snapshot(w.task)["usage"]["tokens"] == 1500);
  const auto id = w.task.substr(w.task.rfind('/') + 1);
  w.must("org/acme", "org.delete_task", {{"task", id}, {"discard", true}});
  const auto org = w.h.await("org/acme", [](const json& s) { return s["tasks"].empty(); });
  CHECK(org["usage"]["tokens"] == 1500);
  CHECK(org["usage"]["cost"] == 0.75);
  CHECK(org["usage"]["people"].size() == 2);
}

TEST_CASE("a task's budget stops its turn in the middle, says so, and the queue goes on when it is raised") {
  workshop w;
  w.make_task();
  w.must(w.task, "task.set_budget", {{"cost", 1.0}});
  auto a = w.begin();
  w.must(w.session, "session.prompt", {{"text", "afterwards"}});
  a.update(cost_update(0.9));
  w.h.await(w.task, [](const json& s) { return s["usage"]["cost"] == 0.9 && s["status"] == "running"; });
  CHECK(w.h.waiting("agent.cancel") == 0);
  a.update(cost_update(1.1));
  w.h.effect("agent.cancel")->succeed(json::object());
  const auto s = w.await_status(w.task, "error");
  CHECK(has(s["error"], "the budget of the task, 1.00 USD, is used up (1.10 USD)"));
  CHECK(has(s["error"], "task.set_budget"));
  CHECK(s["held"] == s["error"]);
  w.end_turn(a, "cancelled");
  const auto stopped = w.h.await(w.session, [](const json& t) { return t["turns"] == 1; });
  CHECK(has(stopped["held"], "is used up"));
  CHECK(has(stopped["error"], "is used up"));
  CHECK(w.transcript("turn_ended").at(0)["stop_reason"] == "budget");
  CHECK(stopped["queue"].size() == 1);
  CHECK(w.refused(w.task, "task.send_message", {{"text", "x"}}) == "budget_exhausted");
  CHECK(w.refused(w.session, "session.prompt", {{"text", "x"}}) == "budget_exhausted");
  w.h.await("capacity", [](const json& c) { return c["running"] == 0 && c["waiting"] == 0; });
  w.h.await("org/acme", [](const json& o) {
    return o["tasks"][0]["status"] == "error" && has(o["tasks"][0]["error"], "is used up");
  });
  w.no_changes();
  w.must(w.task, "task.set_budget", {{"cost", 5.0}});
  CHECK(w.h.effect("agent.prompt")->body()["prompt"][0]["text"] == "afterwards");
  CHECK_FALSE(w.await_status(w.task, "running").contains("held"));
}

TEST_CASE("an agent that does not stop for a budget is ended after a second") {
  workshop w;
  w.make_task();
  w.must(w.task, "task.set_budget", {{"cost", 1.0}});
  auto a = w.begin();
  a.update(cost_update(2.0));
  w.h.effect("agent.cancel")->succeed(json::object());
  w.now.advance(std::chrono::milliseconds(900));
  CHECK(w.h.snapshot(w.session)["turns"] == 0);
  w.now.advance(std::chrono::milliseconds(200));
  w.h.effect("agent.stop");
  w.h.await(w.session, [](const json& s) { return s["turns"] == 1 && s["connected"] == false; });
}

TEST_CASE(
    "the organization's budget stops every task that runs and no other, until it is raised or taken away") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  const auto first = w.task;
  const auto first_prompt = w.prompt;
  w.make_task("second");
  w.mirror();
  w.create_sandbox("local:2");
  w.checkout();
  w.no_changes();
  auto b = w.start_agent();
  w.await_status(w.task, "running");
  w.must("org/acme", "org.set_budget", {{"tokens", 100000}, {"cost", 2}});
  a.update(cost_update(1.5));
  w.h.await("org/acme", [](const json& s) { return s["usage"]["cost"] == 1.5; });
  CHECK(w.h.waiting("agent.cancel") == 0);
  b.update(cost_update(0.6));
  w.h.effect("agent.cancel")->succeed(json::object());
  w.h.effect("agent.cancel")->succeed(json::object());
  CHECK(has(w.await_status(first, "error")["held"],
            "the budget of the organization, 2.00 USD, is used up (2.10 USD)"));
  w.await_status(w.task, "error");
  const auto org = w.h.snapshot("org/acme");
  CHECK(org["budgets"] == json({{{"tokens", 100000}, {"cost", 2.0}, {"used_up", true}}}));

  // A third one hears of it as soon as it wants to run.
  w.make_task("third");
  CHECK(has(w.await_status(w.task, "error")["held"], "the organization"));
  w.must("org/acme", "org.set_budget", {{"tokens", nullptr}, {"cost", nullptr}});
  CHECK(w.h.snapshot("org/acme")["budgets"].empty());
  w.h.await(first, [](const json& s) { return !s.contains("held"); });
  w.h.await(w.task, [](const json& s) { return !s.contains("held"); });
}

TEST_CASE("a person's budget stops the tasks that this person owns, and another owner goes on") {
  workshop w;
  w.must("org/acme", "org.add_member", {{"user", "bob"}, {"role", "member"}});
  CHECK(w.refused("org/acme", "org.set_budget", {{"person", "nobody"}, {"tokens", 1}}) == "not_found");
  w.must("org/acme", "org.set_budget", {{"person", "ada"}, {"cost", 1}});
  w.make_task();
  auto a = w.begin();
  a.update(cost_update(1.5));
  w.h.effect("agent.cancel")->succeed(json::object());
  CHECK(has(w.await_status(w.task, "error")["held"], "the budget of ada, 1.00 USD"));
  w.end_turn(a, "cancelled");
  w.no_changes();
  w.must(w.task, "task.set_owner", {{"owner", "bob"}});
  w.h.await(w.task, [](const json& s) { return !s.contains("held") && s["status"] == "idle"; });
  REQUIRE(w.h.call(w.task, "task.send_message", {{"text", "go on"}}, "bob").ok());
  CHECK(w.h.effect("agent.prompt")->body()["prompt"][0]["text"] == "go on");
}

TEST_CASE("what budgets take, and what they say") {
  workshop w;
  w.make_task();
  CHECK(w.refused(w.task, "task.set_budget") == "invalid_body");
  CHECK(w.refused(w.task, "task.set_budget", {{"tokens", -1}}) == "invalid_body");
  using actors::budget;
  CHECK(budget::from_json({{"tokens", 0}}).breach({}, "x") == "the budget of x, 0 tokens, is used up (0)");
  CHECK(budget::from_json({{"tokens", 10}}).breach({.tokens = 9}, "x").empty());
  CHECK(budget::from_json(nullptr).breach({.tokens = 9}, "x").empty());
  auto b = budget::from_json({{"tokens", 10}, {"cost", 1.5}});
  b.change({{"tokens", nullptr}});
  CHECK(b.to_json() == json{{"cost", 1.5}});
}
