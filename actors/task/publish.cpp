// What the organization shows of a task: its own lists never ask the task.
#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/text.h"

namespace troupe::actors::tasks {

std::int64_t position(const view& v) {
  return v
      .one<std::int64_t>(
          "SELECT coalesce(min(position), 0) FROM session WHERE slot = 'requested' AND demand = 1 AND "
          "position > 0")
      .value_or(0);
}

namespace {

json session_entry(const session_row& s) {
  return {{"session", s.id},
          {"title", clip(text_field(s.summary, "title"), 200)},
          {"agent", text_field(s.summary, "agent")},
          {"status", s.status},
          {"pending_permissions", number_field(s.summary, "pending_permissions")}};
}

std::string error_of(const view& v, const record& r, const std::vector<session_row>& all) {
  if (auto why = why_held(v, r); r.error.empty() && !why.empty()) return why;
  if (!r.error.empty() || r.status != "error") return r.error;
  for (const auto& s : all)
    if (s.status == "error") return text_field(s.summary, "error");
  return {};
}

}  // namespace

void publish(turn& t, record& r) {
  const auto all = sessions(t);
  json s{{"task", t.self().id()},
         {"title", r.title},
         {"branch", r.branch},
         {"repository", r.repository.at("name")},
         {"status", r.status},
         {"sandbox_state", r.sandbox_state},
         {"sessions", json::array()},
         {"diff", {{"files", r.files}, {"additions", r.additions}, {"deletions", r.deletions}}},
         {"owner", r.owner},
         {"usage", usage_by_person(t)},
         {"created_at", r.created_at}};
  for (const auto& row : all) s["sessions"].push_back(session_entry(row));
  if (r.status == "queued")
    if (const auto place = position(t); place > 0) s["position"] = place;
  if (!r.step.empty())
    s["step"] = r.step;
  else if (r.status == "provisioning")
    s["step"] = "session";
  if (const auto why = error_of(t, r, all); !why.empty()) s["error"] = why;
  auto text = s.dump();
  if (text == r.summary) return;
  r.summary = std::move(text);
  s["updated_at"] = t.now_ms();
  t.send(organization(t), "org.apply_task_summary", std::move(s));
}

}  // namespace troupe::actors::tasks
