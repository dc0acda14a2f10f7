// What people asked for and takes longer than a turn: one row each, running until its outcome comes.
#include "actors/task/advance.h"
#include "actors/text.h"

namespace troupe::actors::tasks {

std::string begin_operation(turn& t, std::string_view what) {
  t.run(
      "DELETE FROM operation WHERE id IN (SELECT id FROM operation WHERE state <> 'running' "
      "ORDER BY started_at DESC, id DESC LIMIT -1 OFFSET ?)",
      kept_operations);
  const auto id = t.new_id();
  t.run("INSERT INTO operation (id, what, state, by, started_at) VALUES (?, ?, 'running', ?, ?)", id, what,
        t.principal(), t.now_ms());
  return id;
}

void end_operation(turn& t, const outcome& o) {
  const auto id = o.context.value("operation", "");
  if (o.ok())
    t.run("UPDATE operation SET state = 'done', result = ?, ended_at = ? WHERE id = ? AND state = 'running'",
          o.result().dump(), t.now_ms(), id);
  else
    t.run(
        "UPDATE operation SET state = 'failed', error = ?, code = ?, ended_at = ? WHERE id = ? AND state = "
        "'running'",
        clip(o.error().detail, max_error), o.error().code, t.now_ms(), id);
}

void end_operations(turn& t, std::string_view what, std::string_view state, const json& result,
                    const problem& why) {
  t.run(
      "UPDATE operation SET state = ?, result = ?, error = ?, code = ?, ended_at = ? WHERE state = 'running' "
      "AND what = ?",
      state, result.dump(), clip(why.detail, max_error), why.code, t.now_ms(), what);
}

void fail_operations(turn& t, std::string_view why) {
  t.run(
      "UPDATE operation SET state = 'failed', error = ?, code = 'given_up', ended_at = ? WHERE state = "
      "'running'",
      why, t.now_ms());
}

bool is_running(const view& v, std::string_view what) {
  return v.one<int>("SELECT 1 FROM operation WHERE what = ? AND state = 'running'", what).has_value();
}

}  // namespace troupe::actors::tasks
