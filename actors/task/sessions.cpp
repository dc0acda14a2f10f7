// The task's sessions: made, told of the sandbox, given slots, listened to.
#include <algorithm>

#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/task/handlers.h"
#include "actors/text.h"

namespace troupe::actors::tasks {
namespace {

const key& capacity() {
  static const key k("capacity");
  return k;
}

void release_slot(turn& t, session_row& s) {
  if (s.slot == "none") return;
  t.send(capacity(), "capacity.release", {{"holder", session_key(t, s.id).str()}});
  s.slot = "none";
  s.position = 0;
  save_session(t, s);
}

// What a session may know of the sandbox: one whose files are not in place yet is none.
json sandbox_for(const record& r, const session_row& s, const std::string& held) {
  std::string state = r.sandbox_state;
  if (r.status == "archived" || r.status == "killed") state = r.status;
  if (state == "creating" || (state == "running" && !r.ready())) state = "provisioning";
  const bool usable = (state == "running" || state == "paused") && !r.handle.empty();
  const bool may_run =
      s.demand && s.slot == "granted" && r.ready() && r.error.empty() && held.empty() && state == "running";
  json body{{"handle", usable ? json(r.handle) : json(nullptr)},
            {"state", state},
            {"generation", r.generation},
            {"run", may_run ? s.ask : 0},
            {"environment", r.repository.value("environment", json::object())}};
  if (!held.empty()) body["held"] = held;
  return body;
}

std::optional<session_row> newest_open(const view& v) {
  std::optional<session_row> found;
  for (auto& s : sessions(v))
    if (s.status != "closed" && (!found || s.used_at >= found->used_at)) found = std::move(s);
  return found;
}

// The last two steps of provisioning are the session's own; they are seen from here by what it says of
// itself.
void note_session_steps(turn& t, const session_row& s) {
  if (!t.one<int>("SELECT 1 FROM step WHERE name = 'slot'") ||
      t.one<int>("SELECT 1 FROM step WHERE name = 'prompt'"))
    return;
  if (s.status == "starting") note_step(t, "session", "running");
  const bool started =
      s.status == "ready" || s.status == "idle" || s.status == "running" || s.status == "needs_input";
  if (started && t.one<int>("SELECT 1 FROM step WHERE name = 'session'")) note_step(t, "session", "done");
  if (s.status == "running" || s.status == "needs_input") note_step(t, "prompt", "done");
  if (s.status == "error") note_step(t, "session", "failed");
}

}  // namespace

void ask_for_slots(turn& t, record&) {
  bool any = false;
  for (auto& s : sessions(t)) {
    if (s.demand && s.slot == "none") {
      s.slot = "requested";
      s.slot_asked_at = t.now_ms();
      save_session(t, s);
      t.ask(capacity(), "capacity.request",
            {{"holder", session_key(t, s.id).str()}, {"org", t.self().id_of("org")}},
            "task.apply_slot_answer", {{"session", s.id}});
    }
    any = any || s.slot != "none";
  }
  if (any && !t.one<int>("SELECT 1 FROM session WHERE slot <> 'none' AND slot_asked_at < ?", t.now_ms()))
    t.set_timer("renew_slots", t.now() + renew_every, "task.renew_slots");
}

void give_back_slots(turn& t) {
  for (auto& s : sessions(t)) release_slot(t, s);
  t.clear_timer("renew_slots");
}

void tell_sessions(turn& t, const record& r) {
  if (r.status == "deleting") return;
  const auto held = why_held(t, r);
  for (auto& s : sessions(t)) {
    auto body = sandbox_for(r, s, held);
    auto text = body.dump();
    if (text == s.told) continue;
    s.told = std::move(text);
    save_session(t, s);
    t.send(session_key(t, s.id), "session.apply_sandbox", std::move(body));
  }
}

answer make_session(turn& t, record& r, const json& body, const std::string& prompt) {
  if (sessions(t).size() >= max_sessions)
    return conflict("too_many_sessions", "the task has " + std::to_string(max_sessions) +
                                             " sessions already; remove one with task.remove_session");
  session_row s;
  s.id = t.new_id();
  s.status = "pending";
  s.created_at = s.used_at = t.now_ms();
  json made{{"agent", body.value("agent", r.agent)},
            {"created_by", t.principal()},
            {"environment", r.repository.value("environment", json::object())}};
  // A mode or model of the task is one of the task's agent.
  const bool same_agent = made["agent"] == r.agent;
  const auto put = [&](const char* name, const std::string& otherwise) {
    const auto value = body.value(name, same_agent ? otherwise : std::string());
    if (!value.empty()) made[name] = value;
  };
  put("model", r.model);
  put("mode", r.mode);
  if (body.contains("title")) made["title"] = body["title"];
  if (body.contains("limits")) made["limits"] = body["limits"];
  if (!r.mcp_servers.empty()) made["mcp_servers"] = r.mcp_servers;
  if (!prompt.empty()) {
    made["prompt"] = prompt;
    // Its first wish to run, known before it says so: the slot is asked for at once.
    s.demand = true;
    s.ask = 1;
  }
  s.summary = {{"session", s.id},
               {"title", body.value("title", "")},
               {"agent", made["agent"]},
               {"status", "pending"},
               {"pending_permissions", 0}};
  save_session(t, s);
  t.create(session_key(t, s.id), "session.create", std::move(made));
  return json{{"session", s.id}};
}

void say(turn& t, record& r, const std::string& text) {
  const auto s = newest_open(t);
  if (!s) {
    make_session(t, r, json::object(), text);
    return;
  }
  t.ask(session_key(t, s->id), "session.prompt", {{"text", text}}, "task.apply_message_answer",
        {{"session", s->id}});
}

answer create_session(turn& t, const json& body) {
  auto r = load(t);
  if (auto why = refuse(r, "task.create_session")) return *why;
  auto made = make_session(t, r, body, body.value("prompt", ""));
  if (!made.ok()) return made;
  advance(t, r);
  return made;
}

// Whoever sends a message becomes the owner; an error of the task is tried again with it.
answer send_message(turn& t, const json& body) {
  auto r = load(t);
  if (auto why = refuse(r, "task.send_message")) return *why;
  if (auto why = refuse_when_held(t, r)) return *why;
  std::optional<session_row> s;
  if (body.contains("session")) {
    s = find_session(t, body["session"]);
    if (!s)
      return not_found("the task has no session " + body["session"].get<std::string>() +
                       "; its snapshot lists them");
    if (s->status == "closed")
      return conflict("session_closed", "session " + s->id +
                                            " is closed, so a message would never be answered; "
                                            "session.resume opens it again");
  } else {
    s = newest_open(t);
  }
  std::string id = s ? s->id : std::string();
  if (!s) {
    auto made = make_session(t, r, json::object(), "");
    if (!made.ok()) return made;
    id = made.result()["session"];
  } else {
    s->used_at = t.now_ms();
    save_session(t, *s);
  }
  json prompt = json::object();
  prompt[body.contains("content") ? "content" : "text"] =
      body.contains("content") ? body["content"] : body.at("text");
  t.ask(session_key(t, id), "session.prompt", std::move(prompt), "task.apply_message_answer",
        {{"session", id}});
  if (!t.principal().empty()) r.taken_by(t.principal());
  r.error.clear();
  advance(t, r);
  return json{{"session", id}};
}

// The session refused what the task could not know better: it shows as a failed operation.
answer apply_message_answer(turn& t, const json& body) {
  const auto o = outcome::of(body);
  if (o.ok()) return done();
  t.run(
      "INSERT INTO operation (id, what, state, error, by, started_at, ended_at) VALUES (?, 'message', "
      "'failed', ?, ?, ?, ?)",
      t.new_id(), clip("session " + o.context.value("session", "") + ": " + o.error().detail, max_error),
      t.principal(), t.now_ms(), t.now_ms());
  return done();
}

answer remove_session(turn& t, const json& body) {
  auto r = load(t);
  if (auto why = refuse(r, "task.remove_session")) return *why;
  const std::string id = body.at("session");
  auto s = find_session(t, id);
  if (!s) return not_found("the task has no session " + id);
  release_slot(t, *s);
  t.run("DELETE FROM session WHERE id = ?", id);
  t.send(session_key(t, id), "session.delete", json::object());
  advance(t, r);
  return done();
}

answer apply_session_summary(turn& t, const json& body) {
  const key from(t.from().actor);
  auto s = find_session(t, std::string(from.id()));
  auto r = load(t);
  if (!s || r.status == "deleting") return done();  // removed meanwhile
  const bool turn_ended = body.at("turns").get<std::int64_t>() > s->turns;
  const bool new_wish = body.at("ask").get<std::int64_t>() != s->ask;
  count_usage(t, r, s->summary, body);
  s->summary = body;
  if (s->status != body.at("status")) s->used_at = t.now_ms();
  s->status = body["status"];
  s->ask = body["ask"];
  s->turns = body["turns"];
  s->demand = body.at("demand");
  save_session(t, *s);
  note_session_steps(t, *s);
  // A wish that was given back and made again within one summary has no slot of its own.
  if (!s->demand || new_wish) release_slot(t, *s);
  if (turn_ended) refresh_work(t, r);
  advance(t, r);
  return done();
}

answer apply_slot(turn& t, const json& body) {
  auto s = find_session(t, body.at("session"));
  auto r = load(t);
  const bool granted = body.at("granted");
  if (!s || !s->demand || s->slot == "none") {
    if (granted) t.send(capacity(), "capacity.release", {{"holder", session_key(t, body["session"]).str()}});
    return done();
  }
  s->slot = granted ? "granted" : "requested";
  s->position = granted ? 0 : body.value("position", std::int64_t{0});
  save_session(t, *s);
  advance(t, r);
  return done();
}

answer apply_slot_answer(turn& t, const json& body) {
  const auto o = outcome::of(body);
  if (o.ok()) return done();
  auto s = find_session(t, o.context.value("session", ""));
  auto r = load(t);
  if (!s || s->slot != "requested") return done();
  s->slot = "none";
  save_session(t, *s);
  fail(t, r, "no place to run: " + o.error().detail + ". task.retry asks again");
  advance(t, r);
  return done();
}

answer renew_slots(turn& t, const json&) {
  bool any = false;
  for (const auto& s : sessions(t)) {
    if (s.slot == "granted") t.send(capacity(), "capacity.renew", {{"holder", session_key(t, s.id).str()}});
    any = any || s.slot != "none";
  }
  if (any) t.set_timer("renew_slots", t.now() + renew_every, "task.renew_slots");
  return done();
}

}  // namespace troupe::actors::tasks
