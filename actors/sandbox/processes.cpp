// The processes that people start in a sandbox. Our id is answered at once; the daemon's own comes with the
// outcome, or with an event that was faster.
#include "actors/sandbox/handlers.h"
#include "actors/sandbox/record.h"
#include "actors/sandbox/sandbox.h"
#include "actors/text.h"

namespace troupe::actors::sandboxes {
namespace {

// At most `max_exited` that have ended are kept, the oldest go.
void prune(turn& t) {
  t.run(
      "DELETE FROM process WHERE id IN (SELECT id FROM process WHERE status IN ('exited', 'failed') "
      "ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?)",
      static_cast<std::int64_t>(max_exited));
}

std::string status_of(const json& info) {
  return info.value("status", "running") == "exited" ? "exited" : "running";
}

answer act(turn& t, const json& body, std::string_view what) {
  const auto r = load(t);
  if (r.state != "running") return wrong_state(sandbox_transitions(), "the sandbox", r.state, "sandbox.run");
  const std::string id = body.at("process");
  const auto status = t.one<std::string>("SELECT status FROM process WHERE id = ?", id);
  if (!status) return not_found("the sandbox has no process " + id + "; its snapshot lists them");
  const auto daemon = t.one<std::string>("SELECT daemon_id FROM process WHERE id = ?", id);
  if (!daemon)
    return conflict("process_not_started",
                    "process " + id + " is " + *status + "; the daemon does not know it");
  const bool over = *status != "running";
  if (over != (what == "remove"))
    return conflict(over ? "process_exited" : "process_running",
                    "process " + id + " is " + *status + (over ? "" : "; stop or kill it first"));
  json request{{"handle", r.handle}, {"process", *daemon}, {"act", what}};
  if (body.contains("data")) request["data"] = body["data"];
  t.start({.kind = "sandbox.process",
           .body = std::move(request),
           .then = "sandbox.apply_process",
           .context = {{"process", id}, {"act", what}},
           .resource = "process " + id});
  return done();
}

}  // namespace

answer run(turn& t, const json& body) {
  const auto r = load(t);
  if (!next_state(sandbox_transitions(), r.state, "sandbox.run") || !r.doing.empty())
    return wrong_state(sandbox_transitions(), "the sandbox",
                       r.doing.empty() ? r.state : "about to " + r.doing, "sandbox.run",
                       "A sleeping one is woken with sandbox.resume or sandbox.start");
  const auto id = t.new_id();
  auto request = body;
  request["handle"] = r.handle;
  if (!request.contains("args")) request["args"] = json::array();
  json info{{"command", body.at("command")}, {"args", request["args"]}};
  if (body.contains("cwd")) info["cwd"] = body["cwd"];
  info["tty"] = body.value("tty", false);
  t.run(
      "INSERT INTO process (id, generation, info, status, started_by, created_at) VALUES (?, ?, ?, "
      "'starting', ?, ?)",
      id, r.generation, info.dump(), t.principal(), t.now_ms());
  t.start({.kind = "sandbox.run",
           .body = std::move(request),
           .then = "sandbox.apply_process",
           .context = {{"process", id}, {"act", "run"}},
           .resource = "process " + id});
  return json{{"process", id}};
}

answer stop_process(turn& t, const json& body) {
  return act(t, body, "stop");
}
answer kill_process(turn& t, const json& body) {
  return act(t, body, "kill");
}
answer remove_process(turn& t, const json& body) {
  return act(t, body, "remove");
}
answer send_input(turn& t, const json& body) {
  return act(t, body, "input");
}

void merge_process(turn& t, std::int64_t generation, const json& info) {
  const std::string daemon = info.value("id", "");
  if (daemon.empty()) return;
  auto kept = info;
  kept.erase("id");
  kept.erase("status");
  const auto known = t.one<std::string>("SELECT id FROM process WHERE daemon_id = ?", daemon);
  if (known)
    t.run("UPDATE process SET info = json_patch(info, ?), status = ? WHERE id = ?", kept.dump(),
          status_of(info), *known);
  else
    t.run(
        "INSERT INTO process (id, daemon_id, generation, info, status, created_at) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO NOTHING",
        daemon, daemon, generation, kept.dump(), status_of(info), t.now_ms());
  if (status_of(info) == "exited") prune(t);
}

answer apply_process(turn& t, const json& body) {
  const auto o = outcome::of(body);
  const std::string id = o.context.at("process"), act = o.context.at("act");
  const auto r = load(t);
  if (!o.ok()) {
    const auto why = clip(o.error().detail, max_error);
    t.append("log", {{"type", "error"}, {"process", id}, {"act", act}, {"why", why}});
    if (act == "run")
      t.run(
          "UPDATE process SET status = 'failed', info = json_set(info, '$.why', ?) WHERE id = ? AND status = "
          "'starting'",
          why, id);
    prune(t);
    return done();
  }
  if (act == "remove") {
    t.run("DELETE FROM process WHERE id = ?", id);
    return done();
  }
  if (!o.result().contains("process")) return done();
  const auto& info = o.result()["process"];
  const std::string daemon = info.value("id", "");
  if (act == "run" && !daemon.empty()) {
    // An event may have been faster and made a row under the daemon's id: its news are newer than ours.
    json news = info;
    t.each(
        "SELECT info, status FROM process WHERE daemon_id = ? AND id <> ?",
        [&](const auto& row) {
          news.update(json::parse(row.template get<std::string>(0)));
          news["status"] = row.template get<std::string>(1);
        },
        daemon, id);
    t.run("DELETE FROM process WHERE daemon_id = ? AND id <> ?", daemon, id);
    t.run("UPDATE process SET daemon_id = ? WHERE id = ?", daemon, id);
    news["id"] = daemon;
    merge_process(t, r.generation, news);
  } else {
    merge_process(t, r.generation, info);
  }
  return done();
}

}  // namespace troupe::actors::sandboxes
