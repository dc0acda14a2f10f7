#include "actors/task/advance.h"

#include "actors/task/task.h"

namespace troupe::actors::tasks {
namespace {

bool lives(const record& r) {
  return r.status != "archiving" && r.status != "archived" && r.status != "killed" && r.status != "deleting";
}

bool any(const std::vector<session_row>& all, auto&& test) {
  for (const auto& s : all)
    if (test(s)) return true;
  return false;
}

// The status of a task that lives is what its sessions and its sandbox do, the most urgent first.
std::string_view event(const record& r, const std::vector<session_row>& all, bool held) {
  if (!r.error.empty() || held) return "fails";
  if (!r.step.empty()) return "prepares";
  if (any(all, [](const auto& s) { return s.status == "needs_input"; })) return "asks";
  if (any(all, [](const auto& s) { return s.status == "running"; })) return "runs";
  if (any(all, [](const auto& s) { return s.demand && s.slot == "granted"; })) return "prepares";
  if (any(all, [](const auto& s) { return s.demand; })) return "waits";
  if (any(all, [](const auto& s) { return s.status == "error"; })) return "fails";
  return "rests";
}

}  // namespace

audit_subject about(const turn& t, const record& r) {
  return {.repository = r.repository.value("name", ""),
          .task = std::string(t.self().id()),
          .branch = r.branch,
          .session = {}};
}

void set_status(turn& t, record& r, std::string_view status) {
  if (r.status == status) return;
  append_audit(t, "task.status_changed", about(t, r), {{"from", r.status}, {"to", status}});
  r.status = status;
}

void advance(turn& t, record& r) {
  if (lives(r)) {
    const bool held = !why_held(t, r).empty();
    if (held) give_back_slots(t);
    if (r.error.empty() && !held) {
      ask_for_slots(t, r);
      const auto all = sessions(t);
      if (any(all, [](const auto& s) { return s.demand && s.slot == "granted"; }) && !r.ready())
        provision(t, r);
    }
    if (const auto to = next_state(task_transitions(), r.status, event(r, sessions(t), held)))
      set_status(t, r, *to);
  }
  tell_sessions(t, r);
  publish(t, r);
  save(t, r);
}

}  // namespace troupe::actors::tasks
