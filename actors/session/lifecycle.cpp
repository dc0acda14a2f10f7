// Making, naming, closing and resuming a session, and what the task says of its sandbox.
#include "actors/json_read.h"
#include "actors/session/advance.h"
#include "actors/session/handlers.h"
#include "actors/session/queue.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

void take_limits(record& r, const json& limits) {
  r.guard = limits.value("guard", r.guard);
  r.prompt_seconds = limits.value("prompt_seconds", r.prompt_seconds);
  r.permission_seconds = limits.value("permission_seconds", r.permission_seconds);
  r.max_tokens = limits.value("max_tokens", r.max_tokens);
}

// Ends whatever the agent does now; nothing of it is waited for.
void stop_everything(turn& t, record& r, const char* why) {
  cancel_permissions(t, r);
  drop_link(t, r, true);
  end_turn(t, r, {.stop_reason = why, .agent_gone = true});
  t.run("DELETE FROM prompt");
  r.wake = false;
}

}  // namespace

answer create(turn& t, const json& body) {
  if (made(t)) return done();
  record r;
  r.agent = body.at("agent");
  r.model_wanted = body.value("model", "");
  r.mode_wanted = body.value("mode", "");
  r.created_by = body.at("created_by");
  r.created_at = t.now_ms();
  r.environment = body.value("environment", json::object());
  if (body.contains("title")) {
    r.title = body["title"];
    r.title_by = "person";
  }
  r.mcp_servers = body.value("mcp_servers", json::array());
  take_limits(r, body.value("limits", json::object()));
  save(t, r);
  if (const auto text = body.value("prompt", ""); !text.empty()) {
    enqueue(t, json::array({{{"type", "text"}, {"text", text}}}), r.created_by, false, false);
    if (r.title_by.empty()) {
      r.title = clip(text.substr(0, text.find('\n')), 80);
      r.title_by = "prompt";
    }
  }
  advance(t, r);
  return done();
}

answer rename(turn& t, const json& body) {
  auto r = load(t);
  r.title = body.at("title");
  r.title_by = "person";
  advance(t, r);
  return done();
}

answer set_limits(turn& t, const json& body) {
  auto r = load(t);
  take_limits(r, body);
  advance(t, r);
  return done();
}

answer close(turn& t, const json&) {
  auto r = load(t);
  if (!next_state(session_transitions(), r.status, "session.close"))
    return wrong_state(session_transitions(), "the session", r.status, "session.close");
  stop_everything(t, r, "closed");
  r.error.clear();
  r.status = "closed";
  t.append("transcript", {{"type", "closed"}, {"by", t.principal()}});
  advance(t, r);
  return done();
}

answer resume(turn& t, const json&) {
  auto r = load(t);
  if (r.sandbox_state == "archived" || r.sandbox_state == "killed")
    return conflict("task_" + r.sandbox_state,
                    "the session's task is " + r.sandbox_state + "; " +
                        (r.sandbox_state == "archived" ? "task.unarchive" : "task.retry") +
                        " brings it back first");
  r.error.clear();
  happen(r, "session.resume");
  r.wake = r.link != "up";
  advance(t, r);
  return done();
}

answer leave(turn& t, const json&) {
  auto r = load(t);
  if (made(t)) {
    stop_everything(t, r, "deleted");
    r.status = "closed";
    save(t, r);
  }
  t.retire();
  return done();
}

answer apply_sandbox(turn& t, const json& body) {
  auto r = load(t);
  const std::string state = body.at("state");
  const auto generation = body.value("generation", std::int64_t{0});
  // Paused processes go on where they were; those of another start, or of no start, are gone.
  const bool gone = generation != r.generation || (state != "running" && state != "paused");
  if (gone && !r.link.empty()) {
    cancel_permissions(t, r);
    drop_link(t, r, false);
    end_turn(t, r,
             {.stop_reason = "sandbox_" + (state == "running" ? "restarted" : state),
              .error = {{"code", "sandbox_" + state}, {"message", "the sandbox is " + state}},
              .agent_gone = true});
    happen(r, "ends");
    if (r.status == "starting" || r.status == "error") r.status = "pending";
  }
  r.handle = body.at("handle").is_string() ? body["handle"].get<std::string>() : std::string();
  r.sandbox_state = state;
  r.generation = generation;
  r.cwd = body.value("cwd", r.cwd);
  if (body.contains("environment")) r.environment = body["environment"];
  r.slot = body.value("run", std::int64_t{0});
  r.held = body.value("held", "");
  if (!r.held.empty()) cancel_turn(t, r, "budget");
  if (state == "archived" || state == "killed") {
    t.run("DELETE FROM prompt");
    r.wake = false;
  }
  advance(t, r);
  return done();
}

}  // namespace troupe::actors::sessions
