// What people, the task and the organization ask of a sandbox's life. Each answers in its turn; the act goes
// on behind
// (`doing`), and its outcome comes to outcomes.cpp.
#include "actors/sandbox/handlers.h"
#include "actors/sandbox/record.h"
#include "actors/sandbox/sandbox.h"
#include "actors/text.h"

namespace troupe::actors::sandboxes {
namespace {

// Host uids, one per sandbox, far from those of people and of subordinate ranges. Two sandboxes that draw the
// same one are told apart by the provider, which refuses a uid in use; the next attempt draws another.
constexpr std::int64_t first_uid = 1'000'000'000;
constexpr std::int64_t uid_count = 1'000'000'000;

void draw_identity(turn& t, record& r) {
  r.nonce = t.new_id();
  r.uid = first_uid + stable_hash(t.self().str() + r.nonce) % uid_count;
}

std::optional<problem> refuse(const record& r, std::string_view command) {
  if (!next_state(sandbox_transitions(), r.state, command))
    return wrong_state(sandbox_transitions(), "the sandbox", r.state, command);
  if (!r.doing.empty())
    return conflict("sandbox_busy", std::string(command) + " has to wait: the sandbox is about to " +
                                        r.doing + "; ask again when its snapshot shows no act under way");
  return std::nullopt;
}

answer act(turn& t, std::string_view command, std::string_view what) {
  auto r = load(t);
  if (auto why = refuse(r, command)) return *why;
  r.error.clear();
  begin(t, r, what);
  save(t, r, true);
  return done();
}

answer tear_down(turn& t, record& r) {
  if (r.state == "destroyed" && r.doing.empty()) {
    save(t, r, true);
    if (r.leaving) t.retire();
    return done();
  }
  if (r.doing == "destroy") {
    save(t, r, false);
    return done();
  }
  // Destruction passes whatever is under way: the driver gives that up, and acts on one sandbox are done in
  // order.
  if (!r.effect.empty()) t.cancel(r.effect);
  t.clear_timer("retry_destroy");
  unwatch(t, r);
  r.failed_destroys = 0;
  begin(t, r, "destroy");
  save(t, r, true);
  return done();
}

}  // namespace

answer create(turn& t, const json& body) {
  if (made(t)) return done();
  record r;
  r.state = "creating";
  r.holder = body.at("holder");
  r.spec = body;
  r.spec.erase("holder");
  draw_identity(t, r);
  insert(t, r);
  r = load(t);
  begin(t, r, "create");
  save(t, r, true);
  return done();
}

answer pause(turn& t, const json&) {
  return act(t, "sandbox.pause", "pause");
}
answer resume(turn& t, const json&) {
  return act(t, "sandbox.resume", "resume");
}
answer kill(turn& t, const json&) {
  return act(t, "sandbox.kill", "kill");
}
answer refresh(turn& t, const json&) {
  return act(t, "sandbox.refresh", "inspect");
}

// Files of a stopped or lost one were kept; after an error or a destruction everything is made anew.
answer start(turn& t, const json&) {
  auto r = load(t);
  if (auto why = refuse(r, "sandbox.start")) return *why;
  const bool anew = r.state == "error" || r.state == "destroyed";
  r.error.clear();
  if (anew) {
    r.state = "creating";
    r.handle.clear();
    draw_identity(t, r);
  }
  begin(t, r, anew ? "create" : "start");
  save(t, r, true);
  return done();
}

answer destroy(turn& t, const json&) {
  auto r = load(t);
  return tear_down(t, r);
}

answer leave(turn& t, const json&) {
  auto r = load(t);
  r.leaving = true;
  return tear_down(t, r);
}

answer retry_destroy(turn& t, const json&) {
  auto r = load(t);
  if (r.state == "destroyed" || !r.doing.empty()) return done();
  begin(t, r, "destroy");
  save(t, r, false);
  return done();
}

}  // namespace troupe::actors::sandboxes
