// The tool calls of the running turn, merged by the agent's id. Agents leave fields out, first show a call in
// a permission request, and forget to end calls that were cancelled: those are closed here, in the transcript
// too.
#include "actors/json_read.h"
#include "actors/session/advance.h"
#include "actors/text.h"

namespace troupe::actors::sessions {

void merge_tool_call(turn& t, const json& update) {
  const auto id = clip(text_field(update, "toolCallId"), 200);
  if (id.empty()) return;
  const auto title = clip(text_field(update, "title"), 500), kind = clip(text_field(update, "kind"), 40),
             status = clip(text_field(update, "status"), 20);
  t.run(
      "INSERT INTO tool_call (id, title, kind, status, started_at) SELECT ?1, ?2, ?3, "
      "CASE ?4 WHEN '' THEN 'pending' ELSE ?4 END, ?5 WHERE (SELECT count(*) FROM tool_call) < ?6 "
      "OR EXISTS (SELECT 1 FROM tool_call WHERE id = ?1) "
      "ON CONFLICT (id) DO UPDATE SET title = CASE ?2 WHEN '' THEN title ELSE ?2 END, "
      "kind = CASE ?3 WHEN '' THEN kind ELSE ?3 END, status = CASE ?4 WHEN '' THEN status ELSE ?4 END",
      id, title, kind, status, t.now_ms(), static_cast<std::int64_t>(max_open_calls));
  if (status == "completed" || status == "failed")
    t.each(
        "SELECT title FROM tool_call WHERE id = ?",
        [&](const auto& row) { remember(t, "tool", row.template get<std::string>(0) + " (" + status + ")"); },
        id);
}

void close_tool_calls(turn& t, std::string_view why) {
  t.each("SELECT id FROM tool_call WHERE status NOT IN ('completed', 'failed') ORDER BY started_at, id",
         [&](const auto& row) {
           t.append("transcript", {{"type", "update"},
                                   {"update",
                                    {{"sessionUpdate", "tool_call_update"},
                                     {"toolCallId", row.template get<std::string>(0)},
                                     {"status", "failed"}}},
                                   {"closed_by", "troupe"},
                                   {"why", why}});
         });
  t.run("DELETE FROM tool_call");
}

}  // namespace troupe::actors::sessions
