#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"
#include "actors/text.h"

namespace troupe::actors::organization_actor {
namespace {

// How the index sees a task; the states of task_index_transitions().
std::string index_state(const view& v, const std::string& task) {
  std::string state = "none";
  v.each(
      "SELECT made, deleting FROM tasks WHERE task = ?",
      [&](const storage::row& r) {
        state = r.get<bool>(1) ? "deleting" : r.get<bool>(0) ? "made" : "listed";
      },
      task);
  return state;
}

void forget(turn& t, const std::string& task) {
  forget_usage(t, task);
  t.run("DELETE FROM summaries WHERE task = ?", task);
  t.run("DELETE FROM tasks WHERE task = ?", task);
}

// A task speaks of itself alone.
bool speaks_of(const turn& t, const std::string& task) {
  const key from(t.from().actor);
  return from.kind() == "task" && from.id() == task;
}

problem wrong_sender(const turn& t, const std::string& task) {
  return unprocessable("wrong_sender", t.from().actor + " cannot speak of task " + task);
}

}  // namespace

problem no_task(std::string_view task) {
  return not_found("there is no task " + std::string(task) + " in this organization");
}

answer delete_task(turn& t, const json& body) {
  const auto task = text_or(body, "task", "");
  const auto state = index_state(t, task);
  if (state == "none") return no_task(task);
  const auto to = next_state(task_index_transitions(), state, "org.delete_task");
  if (!to)
    return wrong_state(task_index_transitions(), "task " + task, state, "org.delete_task",
                       "It is being deleted already.");
  if (to == "none") {
    forget(t, task);
    return json{{"task", task}, {"state", "deleted"}};
  }
  const bool discard = flag_of(body, "discard");
  t.run("UPDATE tasks SET deleting = 1, discard = ? WHERE task = ?", discard, task);
  t.ask(t.self().child("task", task), "task.delete", {{"discard", discard}}, "org.apply_task_deletion",
        {{"task", task}});
  return json{{"task", task}, {"state", "deleting"}};
}

answer apply_task_deletion(turn& t, const json& body) {
  const auto result = outcome::of(body);
  const auto task = text_or(result.context, "task", "");
  if (result.ok() || index_state(t, task) != "deleting") return done();
  if (result.error().code == "gone" || result.error().status == 404) {
    // No actor to delete: it was never made whole, or its folder was taken away by hand.
    forget(t, task);
    return done();
  }
  t.run("UPDATE tasks SET deleting = 0, discard = 0 WHERE task = ?", task);
  t.run("UPDATE summaries SET error = ?, updated_at = ? WHERE task = ?",
        clip("not deleted: " + result.error().detail, organization_limits::summary_error), t.now_ms(), task);
  return done();
}

answer apply_task_removed(turn& t, const json& body) {
  const auto task = text_or(body, "task", "");
  if (!speaks_of(t, task)) return wrong_sender(t, task);
  forget(t, task);
  return done();
}

answer apply_task_summary(turn& t, const json& body) {
  const auto task = text_or(body, "task", "");
  if (!speaks_of(t, task)) return wrong_sender(t, task);
  if (index_state(t, task) == "none") return no_task(task);
  const auto& diff = body.contains("diff") && body["diff"].is_object() ? body["diff"] : json::object();
  std::optional<std::string> error = text_of(body, "error");
  if (body.contains("error") && body["error"].is_object())
    error = text_or(body["error"], "detail", text_or(body["error"], "code", ""));
  if (error) error = clip(*error, organization_limits::summary_error);
  notify(t, t.one<std::string>("SELECT status FROM summaries WHERE task = ?", task).value_or(""), body);
  t.run(
      "UPDATE summaries SET title = ?1, words = lower(?1 || ' ' || (SELECT branch FROM tasks WHERE task = "
      "?13)),"
      " status = ?2, owner = coalesce(?3, owner), position = ?4, step = ?5, sandbox_state = ?6, sessions = "
      "?7,"
      " files = ?8, additions = ?9, deletions = ?10, error = ?11, updated_at = ?12 WHERE task = ?13",
      text_or(body, "title", ""), text_or(body, "status", ""), text_of(body, "owner"),
      integer_of(body, "position"), text_of(body, "step"), text_or(body, "sandbox_state", "none"),
      json_of(body, "sessions").value_or("[]"), integer_of(diff, "files").value_or(0),
      integer_of(diff, "additions").value_or(0), integer_of(diff, "deletions").value_or(0), error,
      *integer_of(body, "updated_at"), task);
  apply_usage(t, task, body);
  return done();
}

}  // namespace troupe::actors::organization_actor
