// task.push: the branch goes to the remote, with the credential of who pushes, who is the owner from then on.
#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/task/handlers.h"
#include "actors/text.h"

namespace troupe::actors::tasks {

answer push(turn& t, const json&) {
  auto r = load(t);
  if (auto why = refuse(r, "task.push")) return *why;
  if (!can_look(r)) return not_running(r);
  if (is_running(t, "push"))
    return conflict("push_running",
                    "the branch is being pushed already; the operations of the snapshot say how it goes");
  r.taken_by(t.principal());
  const auto id = begin_operation(t, "push");
  auto body = remote_of(t, r);
  body.update({{"handle", r.handle}, {"branch", r.branch}, {"base", r.base}});
  t.start({.kind = "git.push",
           .body = std::move(body),
           .then = "task.apply_push",
           .context = {{"operation", id}, {"owner", r.owner}},
           .resource = "git"});
  advance(t, r);
  return json{{"operation", id}};
}

answer apply_push(turn& t, const json& body) {
  const auto o = outcome::of(body);
  end_operation(t, o);
  auto r = load(t);
  const auto owner = o.context.value("owner", "");
  if (o.ok()) {
    const auto commit = text_field(o.result(), "commit");
    r.pushed = {{"commit", commit}, {"at", t.now_ms()}, {"by", owner}};
    if (const auto link = clip(text_field(o.result(), "link"), 500); !link.empty()) r.pushed["link"] = link;
    // What the push saw counts until the next look.
    if (field(o.result(), "dirty") == false) r.head = commit, r.dirty = false;
    append_audit(t, "task.pushed", about(t, r), {{"commit", commit}, {"owner", owner}});
    refresh_work(t, r);
  } else {
    append_audit(t, "task.push_failed", about(t, r), {{"code", o.error().code}, {"owner", owner}});
  }
  advance(t, r);
  return done();
}

}  // namespace troupe::actors::tasks
