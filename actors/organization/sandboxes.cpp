#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"

namespace troupe::actors::organization_actor {
namespace {

constexpr std::string_view disk_remedy =
    "free some (archive or delete tasks, `troupe sandbox prune`, or give the data folder more room); what "
    "runs may finish";

bool from_task(const turn& t) {
  return key(t.from().actor).kind() == "task";
}

}  // namespace

answer create_sandbox(turn& t, const json& body) {
  if (!from_task(t)) return unprocessable("wrong_sender", "only a task asks for a sandbox");
  const auto sandbox = text_or(body, "sandbox", "");
  if (t.one<bool>("SELECT low FROM disk WHERE id = 1").value_or(false)) {
    return unavailable(
        "disk_low",
        "no new sandbox is made: less than 5 % or 2 GB of the disk is free; " + std::string(disk_remedy), 60);
  }
  if (t.one<int>("SELECT 1 FROM sandboxes WHERE sandbox = ?", sandbox)) {
    return conflict("exists", "a sandbox " + sandbox + " exists already");
  }
  if (t.one<std::int64_t>("SELECT count(*) FROM sandboxes").value_or(0) >= organization_limits::sandboxes) {
    return conflict("too_many_sandboxes", "the organization has " +
                                              std::to_string(organization_limits::sandboxes) +
                                              " sandboxes, the most it takes; archive or kill tasks first");
  }
  t.run(
      "INSERT INTO sandboxes (sandbox, holder, state, created_at, updated_at) VALUES (?, ?, 'creating', ?, "
      "?)",
      sandbox, t.from().actor, t.now_ms(), t.now_ms());
  auto spec = body.at("spec");
  spec["holder"] = t.from().actor;
  t.create(t.self().child("sandbox", sandbox), "sandbox.create", std::move(spec));
  return done();
}

answer release_sandbox(turn& t, const json& body) {
  if (!from_task(t)) return unprocessable("wrong_sender", "only a task gives a sandbox back");
  const auto sandbox = text_or(body, "sandbox", "");
  const auto holder = t.one<std::string>("SELECT holder FROM sandboxes WHERE sandbox = ?", sandbox);
  // Given back already: asked again after a retry.
  if (!holder) return done();
  if (*holder != t.from().actor)
    return conflict("not_the_holder", "sandbox " + sandbox + " is held by " + *holder);
  t.run("UPDATE sandboxes SET state = 'destroying', released = 1, updated_at = ? WHERE sandbox = ?",
        t.now_ms(), sandbox);
  t.send(t.self().child("sandbox", sandbox), "sandbox.delete", json::object());
  return done();
}

answer apply_sandbox_state(turn& t, const json& body) {
  const auto sandbox = text_or(body, "sandbox", "");
  const key from(t.from().actor);
  if (from.kind() != "sandbox" || from.id() != sandbox) {
    return unprocessable("wrong_sender", t.from().actor + " cannot speak of sandbox " + sandbox);
  }
  const auto state = text_or(body, "state", "");
  // Destroyed by somebody's hand it stays until its task gives it back: only then nobody asks for it again.
  if (state == "destroyed" &&
      t.one<bool>("SELECT released FROM sandboxes WHERE sandbox = ?", sandbox).value_or(false)) {
    t.run("DELETE FROM sandboxes WHERE sandbox = ?", sandbox);
    return done();
  }
  t.run(
      "UPDATE sandboxes SET holder = ?, state = iif(released, 'destroying', ?), tier = coalesce(?, tier), "
      "updated_at = ?"
      " WHERE sandbox = ?",
      text_of(body, "holder"), state, text_of(body, "tier"), t.now_ms(), sandbox);
  if (t.changes() == 0) return not_found("there is no sandbox " + sandbox + " in this organization");
  return done();
}

}  // namespace troupe::actors::organization_actor
