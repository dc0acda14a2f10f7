// The queue: prompts come in at any time, one at a time is worked on.
#include <algorithm>

#include "actors/session/advance.h"
#include "actors/session/handlers.h"
#include "actors/session/queue.h"
#include "actors/text.h"

namespace troupe::actors::sessions {

std::string enqueue(turn& t, const json& content, const std::string& by, bool guard, bool first) {
  const auto id = t.new_id();
  const auto edge = first ? t.one<std::int64_t>("SELECT min(position) - 1 FROM prompt")
                          : t.one<std::int64_t>("SELECT max(position) + 1 FROM prompt");
  t.run("INSERT INTO prompt (id, position, content, by, guard, at) VALUES (?, ?, ?, ?, ?, ?)", id,
        edge.value_or(0), content.dump(), by, guard, t.now_ms());
  return id;
}

std::optional<waiting_prompt> dequeue(turn& t) {
  std::optional<waiting_prompt> next;
  t.each("SELECT id, content, by, guard FROM prompt ORDER BY position LIMIT 1", [&](const auto& row) {
    next = waiting_prompt{row.template get<std::string>(0), json::parse(row.template get<std::string>(1)),
                          row.template get<std::string>(2), row.template get<bool>(3)};
  });
  if (next) t.run("DELETE FROM prompt WHERE id = ?", next->id);
  return next;
}

std::vector<std::string> queue_order(const view& v) {
  std::vector<std::string> ids;
  v.each("SELECT id FROM prompt ORDER BY position",
         [&](const auto& row) { ids.push_back(row.template get<std::string>(0)); });
  return ids;
}

json content_of(const json& body) {
  if (body.contains("content")) return body["content"];
  return json::array({{{"type", "text"}, {"text", body.at("text")}}});
}

// Validating comes before enqueuing: what cannot run is refused at once.
answer prompt(turn& t, const json& body) {
  auto r = load(t);
  if (!next_state(session_transitions(), r.status, "session.prompt"))
    return conflict("session_closed",
                    "the session is closed, so a prompt would never run; session.resume opens it again");
  if (r.sandbox_state == "archived" || r.sandbox_state == "killed")
    return conflict("task_" + r.sandbox_state,
                    "the session's task is " + r.sandbox_state + "; " +
                        (r.sandbox_state == "archived" ? "task.unarchive" : "task.retry") +
                        " brings it back");
  if (!r.held.empty()) return conflict("budget_exhausted", r.held);
  if (r.max_tokens > 0 && r.total_tokens >= r.max_tokens)
    return conflict("budget_exhausted", "the session has used " + std::to_string(r.total_tokens) +
                                            " of its " + std::to_string(r.max_tokens) +
                                            " tokens; session.set_limits raises the limit");
  const auto waiting = queued(t);
  if (waiting >= max_queue)
    return too_many("queue_full",
                    std::to_string(waiting) + " prompts wait already; remove one with session.remove_prompt");

  const auto content = content_of(body);
  if (text_of(content).find_first_not_of(" \t\r\n") == std::string::npos)
    return unprocessable("empty_prompt", "the prompt says nothing; give it text or an image");
  const auto id = enqueue(t, content, t.principal(), false, false);
  if (r.title_by.empty()) {
    r.title = text_of(content);
    r.title = clip(r.title.substr(0, r.title.find('\n')), 80);
    r.title_by = "prompt";
  }
  happen(r, "session.prompt");
  advance(t, r);
  const auto still = t.one<int>("SELECT 1 FROM prompt WHERE id = ?", id).has_value();
  return json{{"prompt", id}, {"ahead", still ? waiting : 0}, {"running", !still}};
}

answer remove_prompt(turn& t, const json& body) {
  const std::string id = body.at("prompt");
  t.run("DELETE FROM prompt WHERE id = ?", id);
  if (t.changes() == 0)
    return not_found("no prompt " + id +
                     " waits in this session; it may be running by now (session.cancel stops it)");
  auto r = load(t);
  advance(t, r);
  return done();
}

answer move_prompt(turn& t, const json& body) {
  const std::string id = body.at("prompt");
  auto order = queue_order(t);
  const auto found = std::ranges::find(order, id);
  if (found == order.end()) return not_found("no prompt " + id + " waits in this session");
  order.erase(found);
  const auto to = std::min<std::size_t>(body.at("position").get<std::size_t>(), order.size());
  order.insert(order.begin() + static_cast<std::ptrdiff_t>(to), id);
  for (std::size_t i = 0; i < order.size(); ++i)
    t.run("UPDATE prompt SET position = ? WHERE id = ?", static_cast<std::int64_t>(i), order[i]);
  return json{{"position", to}};
}

// Stops what runs; when nothing runs yet, takes what waits from the queue.
answer cancel(turn& t, const json& body) {
  auto r = load(t);
  if (!next_state(session_transitions(), r.status, "session.cancel"))
    return wrong_state(session_transitions(), "the session", r.status, "session.cancel");
  const bool runs = current_turn(t).has_value();
  const auto waiting = queued(t);
  if (!runs && waiting == 0) return conflict("nothing_to_cancel", "no prompt runs or waits in this session");
  std::int64_t removed = 0;
  if (!runs || body.value("clear_queue", false)) {
    t.run("DELETE FROM prompt");
    removed = waiting;
  }
  if (runs) cancel_turn(t, r, "cancelled");
  advance(t, r);
  return json{{"cancelled", runs}, {"removed", removed}};
}

}  // namespace troupe::actors::sessions
