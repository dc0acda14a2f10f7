#include "actors/sandbox/record.h"

#include "actors/text.h"

namespace troupe::actors::sandboxes {

bool made(const view& v) {
  return v.one<int>("SELECT 1 FROM sandbox").has_value();
}

record load(const view& v) {
  record r;
  v.each(
      "SELECT state, doing, effect, holder, spec, nonce, uid, creation, generation, handle, tier, workspace, "
      "items, steps, "
      "feed, watch, error, memory_mb, pids, leaving, failed_destroys, created_at, updated_at FROM sandbox",
      [&](const auto& row) {
        int c = 0;
        const auto text = [&] { return row.template get<std::string>(c++); };
        const auto number = [&] { return row.template get<std::int64_t>(c++); };
        r.state = text(), r.doing = text(), r.effect = text(), r.holder = text();
        r.spec = json::parse(text());
        r.nonce = text(), r.uid = number();
        r.creation = number(), r.generation = number();
        r.handle = text(), r.tier = text(), r.workspace = text();
        r.items = json::parse(text()), r.steps = json::parse(text());
        r.feed = text(), r.watch = number(), r.error = text();
        r.memory_mb = number(), r.pids = number();
        r.leaving = number() != 0, r.failed_destroys = static_cast<int>(number());
        r.created_at = number(), r.updated_at = number();
      });
  return r;
}

void insert(turn& t, const record& r) {
  t.run(
      "INSERT INTO sandbox (id, state, holder, spec, nonce, uid, created_at, updated_at) VALUES (1, ?, ?, ?, "
      "?, ?, ?, ?)",
      r.state, r.holder, r.spec.dump(), r.nonce, r.uid, t.now_ms(), t.now_ms());
}

void save(turn& t, record& r, bool report) {
  r.error = clip(r.error, max_error);
  r.updated_at = t.now_ms();
  t.run(
      "UPDATE sandbox SET state=?, doing=?, effect=?, nonce=?, uid=?, creation=?, generation=?, handle=?, "
      "tier=?, workspace=?, items=?, steps=?, "
      "feed=?, watch=?, error=?, memory_mb=?, pids=?, leaving=?, failed_destroys=?, updated_at=?",
      r.state, r.doing, r.effect, r.nonce, r.uid, r.creation, r.generation, r.handle, r.tier, r.workspace,
      r.items.dump(), r.steps.dump(), r.feed, r.watch, r.error, r.memory_mb, r.pids, r.leaving,
      r.failed_destroys, r.updated_at);
  if (!report) return;

  json to_org{{"sandbox", t.self().id()}, {"state", r.state}, {"holder", r.holder}};
  if (!r.tier.empty()) to_org["tier"] = r.tier;
  t.send(*t.self().parent(), "org.apply_sandbox_state", to_org);
  json to_holder{{"sandbox", t.self().id()},   {"state", r.state}, {"creation", r.creation},
                 {"generation", r.generation}, {"items", r.items}, {"steps", r.steps}};
  if (!r.handle.empty()) to_holder["handle"] = r.handle;
  if (!r.tier.empty()) to_holder["tier"] = r.tier;
  if (!r.doing.empty()) to_holder["step"] = r.doing;
  if (!r.error.empty()) to_holder["error"] = r.error;
  t.send(key(r.holder), "task.apply_sandbox_state", std::move(to_holder));
}

void begin(turn& t, record& r, std::string_view act) {
  json body;
  if (act == "create" || act == "start") {
    body = r.spec;
    body.update({{"sandbox", t.self().str()}, {"nonce", r.nonce}, {"uid", r.uid}});
  } else if (act == "destroy") {
    body = {{"sandbox", t.self().str()}, {"nonce", r.nonce}};
    if (!r.handle.empty()) body["handle"] = r.handle;
  } else {
    body = {{"handle", r.handle}};
  }
  r.doing = act;
  const auto kind = "sandbox." + std::string(act);
  r.effect = t.start({.kind = kind,
                      .body = std::move(body),
                      .then = "sandbox.apply_outcome",
                      .context = {{"act", act}},
                      .resource = "world"});
}

void watch(turn& t, record& r) {
  unwatch(t, r);
  ++r.watch;
  r.feed = t.follow({.kind = "sandbox.watch",
                     .body = {{"handle", r.handle}},
                     .on_batch = "sandbox.apply_watch",
                     .on_end = "sandbox.apply_watch_end",
                     .context = {{"watch", r.watch}}});
}

void unwatch(turn& t, record& r) {
  if (r.feed.empty()) return;
  t.unfollow(r.feed);
  r.feed.clear();
}

void end_processes(turn& t, const record&, std::string_view why) {
  t.run(
      "UPDATE process SET status='exited', info=json_set(info, '$.why', ?) WHERE status IN ('starting', "
      "'running')",
      why);
}

}  // namespace troupe::actors::sandboxes
