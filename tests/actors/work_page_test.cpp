#include <doctest/doctest.h>

#include "runtime/schema.h"
#include "tests/actors/workshop.h"
#include "tests/kit/domain_page.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;

namespace {

// What goes out fits the contract.
void check(const kind& k, std::string_view file, const json& value) {
  for (const auto& f : k.schema.files) {
    if (f.name != file) continue;
    for (const auto& v : schema(file, f.text).check(value))
      FAIL_CHECK(file, " ", v.pointer, ": ", v.message, "\n", value.dump());
    return;
  }
  FAIL("no schema ", file);
}

}  // namespace

TEST_CASE("the page of the domain shows the tables of a task, a session and a sandbox as they are") {
  check_domain_page(task(), {{"a task", task_transitions()}});
  check_domain_page(session(), {{"a session", session_transitions()}});
  check_domain_page(sandbox(), {{"a sandbox", sandbox_transitions()}});
}

TEST_CASE("every command and query of tasks, sessions and sandboxes has schemas, and every schema a row") {
  for (const auto* k : {&task(), &session(), &sandbox()}) check_schemas(*k);
}

TEST_CASE("every state of a table can be reached and none of its rows stands twice") {
  for (const auto table : {task_transitions(), session_transitions(), sandbox_transitions()}) {
    for (std::size_t i = 0; i < table.size(); ++i) {
      for (std::size_t j = i + 1; j < table.size(); ++j)
        CHECK_FALSE((table[i].from == table[j].from && table[i].on == table[j].on));
    }
  }
}

TEST_CASE("snapshots and transcript entries of a busy session fit their schemas") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.print({agent::message(agent::chunk("hello")),
           agent::message(
               {{"sessionUpdate", "plan"}, {"entries", {{{"content", "one"}, {"status", "pending"}}}}}),
           agent::request(1, "execute", "make")});
  w.await_status(w.session, "needs_input");
  w.must(w.session, "session.prompt", {{"text", "next"}});
  check(session(), "snapshot.json", w.h.snapshot(w.session));
  check(task(), "snapshot.json", w.await_status(w.task, "needs_input"));
  check(sandbox(), "snapshot.json", w.h.snapshot(w.sandbox));
  const auto permissions = w.h.ask(w.session, "session.list_permissions");
  REQUIRE(permissions.ok());
  check(session(), "session.list_permissions.result.json", permissions.result());
  w.must(w.session, "session.cancel");
  w.end_turn(a, "cancelled");
  w.prompt = w.h.effect("agent.prompt");
  for (const auto& e : w.transcript()) check(session(), "transcript.entry.json", e);
  w.diff(3);
  w.saved();
  w.h.await(w.task, [](const json& t) { return t.contains("saved_work"); });
  check(task(), "snapshot.json", w.h.snapshot(w.task));
  check(task(), "task.diff.result.json", w.h.ask(w.task, "task.diff").result());
}
