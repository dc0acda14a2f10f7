// Making a task, and its ends: archived (work saved, sandbox given back), killed (sandbox destroyed),
// deleted.
#include "actors/task/advance.h"
#include "actors/task/handlers.h"
#include "actors/text.h"

namespace troupe::actors::tasks {
namespace {

// What stands in no remote, in words; empty when nothing is.
std::string unsaved(const record& r) {
  if (!r.has_unpushed_work()) return {};
  std::string text = std::to_string(r.files) + (r.files == 1 ? " changed file" : " changed files") + " (+" +
                     std::to_string(r.additions) + " −" + std::to_string(r.deletions) + ") on " + r.branch;
  return text + (r.dirty ? ", some not committed," : "") + " are not pushed";
}

std::optional<problem> refuse_to_lose(const record& r, const json& body, std::string_view command) {
  const auto what = unsaved(r);
  if (what.empty() || body.value("discard", false)) return std::nullopt;
  return conflict("unsaved_work",
                  what + "; " + std::string(command) + " with discard: true does it all the same");
}

// Nothing of the task runs any more, and it holds nothing.
void put_down(turn& t, record& r) {
  stop_provisioning(t, r);
  give_back_slots(t);
  release_sandbox(t, r);
  r.error.clear();
}

void give_to(turn& t, record& r, const std::string& owner) {
  if (owner != r.owner) r.taken = false;
  r.owner = owner;
  if (owner == t.principal()) r.taken_by(owner);
  advance(t, r);
}

void finish_deletion(turn& t) {
  if (t.one<int>("SELECT 1 FROM session")) return;
  t.send(organization(t), "org.apply_task_removed", {{"task", t.self().id()}});
  t.retire();
}

}  // namespace

std::optional<problem> refuse(const record& r, std::string_view command) {
  if (next_state(task_transitions(), r.status, command)) return std::nullopt;
  const auto* remedy = r.status == "archived" ? "task.unarchive brings it back"
                       : r.status == "killed" ? "task.retry brings it back"
                       : r.status == "running" || r.status == "needs_input"
                           ? "session.cancel stops the agents"
                           : "";
  return wrong_state(task_transitions(), "the task", r.status, command, remedy);
}

answer initialize(turn& t, const json& body) {
  if (made(t)) return done();
  record r;
  r.title = body.at("title");
  r.branch = body.at("branch");
  r.description = body.value("description", "");
  r.existing_branch = body.value("existing_branch", false);
  r.repository = body.at("repository");
  r.owner = body.at("owner");
  r.agent = body.at("agent");
  r.model = body.value("model", "");
  r.mode = body.value("mode", "");
  r.provider = body.at("provider");
  r.requirements = body.value("requirements", json::object());
  r.mcp_servers = body.value("mcp_servers", json::array());
  r.created_by = body.at("created_by");
  r.taken = r.owner == r.created_by;
  r.created_at = t.now_ms();
  const auto prompt = body.value("prompt", "");
  if (!prompt.empty()) r.status = "queued";
  save(t, r);
  if (!prompt.empty()) {
    const auto made_session = make_session(t, r, json::object(), prompt);
    if (!made_session.ok()) return made_session;
  }
  advance(t, r);
  return done();
}

answer rename(turn& t, const json& body) {
  auto r = load(t);
  r.title = body.at("title");
  advance(t, r);
  return done();
}

answer set_owner(turn& t, const json& body) {
  auto r = load(t);
  const std::string owner = body.at("owner");
  if (owner != t.principal() && r.owner != t.principal())
    return forbidden("the task is " + r.owner + "'s: only " + r.owner + " hands it to " + owner +
                     ", or an administrator of the organization (task.assign)");
  give_to(t, r, owner);
  return done();
}

answer assign(turn& t, const json& body) {
  auto r = load(t);
  give_to(t, r, body.at("owner"));
  return done();
}

answer archive(turn& t, const json& body) {
  auto r = load(t);
  if (auto why = refuse(r, "task.archive")) return *why;
  for (const auto& s : sessions(t))
    if (s.status == "running" || s.status == "needs_input")
      return conflict("sessions_running", "session " + s.id + " works; session.cancel stops it");
  stop_provisioning(t, r);
  give_back_slots(t);
  r.error.clear();
  set_status(t, r, "archiving");
  const bool nothing_to_save = r.sandbox.empty() || r.prepared != r.creation || body.value("discard", false);
  if (nothing_to_save) {
    release_sandbox(t, r);
    set_status(t, r, "archived");
  } else if (r.sandbox_state == "running") {
    save_work_for_archive(t, r);
  } else {
    ask_for_sandbox(t, r);  // what people did in it since the last bundle is only there
  }
  advance(t, r);
  return json{{"status", r.status}};
}

answer unarchive(turn& t, const json&) {
  auto r = load(t);
  if (auto why = refuse(r, "task.unarchive")) return *why;
  set_status(t, r, "idle");
  advance(t, r);
  return done();
}

answer kill(turn& t, const json& body) {
  auto r = load(t);
  if (auto why = refuse(r, "task.kill")) return *why;
  if (auto why = refuse_to_lose(r, body, "task.kill")) return *why;
  put_down(t, r);
  set_status(t, r, "killed");
  advance(t, r);
  return done();
}

// Tries again what failed. Sessions that stopped go on; when none has anything to do, the newest is woken, so
// that the sandbox comes back with the saved work.
answer retry(turn& t, const json&) {
  auto r = load(t);
  if (auto why = refuse(r, "task.retry")) return *why;
  const bool had_error = !r.error.empty();
  r.error.clear();
  set_status(t, r, "idle");
  bool active = false;
  std::optional<session_row> newest;
  for (auto& s : sessions(t)) {
    if (s.status == "closed") continue;
    if (s.status == "error") {
      t.send(session_key(t, s.id), "session.resume", json::object());
      active = true;
    }
    active = active || s.demand;
    if (!newest || s.used_at >= newest->used_at) newest = std::move(s);
  }
  if (!active && had_error && newest) t.send(session_key(t, newest->id), "session.resume", json::object());
  advance(t, r);
  return done();
}

answer leave(turn& t, const json& body) {
  if (!made(t)) {
    finish_deletion(t);
    return done();
  }
  auto r = load(t);
  if (r.status == "deleting") return done();
  if (auto why = refuse_to_lose(r, body, "deleting the task")) return *why;
  put_down(t, r);
  set_status(t, r, "deleting");
  for (const auto& s : sessions(t))
    t.ask(session_key(t, s.id), "session.delete", json::object(), "task.apply_session_deleted",
          {{"session", s.id}});
  advance(t, r);
  finish_deletion(t);
  return done();
}

// Answered or gone: either way the session is no more.
answer apply_session_deleted(turn& t, const json& body) {
  const auto o = outcome::of(body);
  t.run("DELETE FROM session WHERE id = ?", o.context.value("session", ""));
  if (t.one<int>("SELECT 1 FROM task WHERE status = 'deleting'")) finish_deletion(t);
  return done();
}

}  // namespace troupe::actors::tasks
