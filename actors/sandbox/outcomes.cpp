// What the world answers, and what it says by itself.
#include "actors/audit_entry.h"
#include "actors/sandbox/handlers.h"
#include "actors/sandbox/record.h"
#include "actors/text.h"

namespace troupe::actors::sandboxes {
namespace {

audit_subject about(const record& r) {
  audit_subject s;
  if (const auto holder = key::parse(r.holder)) s.task = holder->id();
  return s;
}

// What could not be enforced is never silent.
void tell_weakened(turn& t, const record& r) {
  json weak = json::object();
  for (const auto& [name, item] : r.items.items())
    if (item.is_object() && item.value("state", "") != "enforced") weak[name] = item;
  if (!weak.empty())
    append_audit(t, "sandbox.weakened", about(r),
                 {{"sandbox", t.self().id()}, {"tier", r.tier}, {"items", weak}});
}

void up(turn& t, record& r, const json& result, bool anew) {
  r.state = "running";
  r.handle = result.value("handle", r.handle);
  r.tier = result.value("tier", r.tier);
  r.workspace = result.value("workspace", r.workspace);
  r.items = result.value("items", json::object());
  r.steps = result.value("steps", json::array());
  r.error.clear();
  ++r.generation;
  if (anew) ++r.creation;
  watch(t, r);
  tell_weakened(t, r);
}

void down(turn& t, record& r, std::string_view state, std::string_view why) {
  r.state = state;
  r.memory_mb = r.pids = 0;
  unwatch(t, r);
  end_processes(t, r, why);
}

void lose(turn& t, record& r, std::string_view why) {
  const bool news = r.state != "lost";
  r.error = why;
  down(t, r, "lost", "the sandbox was lost");
  if (news) append_audit(t, "sandbox.lost", about(r), {{"sandbox", t.self().id()}, {"why", clip(why, 1000)}});
}

void destroyed(turn& t, record& r) {
  down(t, r, "destroyed", "the sandbox was destroyed");
  r.handle.clear();
  r.error.clear();
  r.failed_destroys = 0;
}

void destroy_failed(turn& t, record& r, const problem& why) {
  ++r.failed_destroys;
  const bool last = r.failed_destroys >= max_failed_destroys;
  r.error = "destroying failed " + std::to_string(r.failed_destroys) + " times: " + why.detail +
            (last ? ". Given up: look at the machine, then sandbox.destroy or `troupe sandbox prune`"
                  : ". It is tried again in a minute");
  if (!last) t.set_timer("retry_destroy", t.now() + destroy_pause, "sandbox.retry_destroy");
}

void succeeded(turn& t, record& r, std::string_view act, const json& result) {
  if (act == "create" || act == "start") {
    up(t, r, result, act == "create");
  } else if (act == "pause") {
    r.state = "paused";
  } else if (act == "resume") {
    r.state = "running";
  } else if (act == "kill") {
    down(t, r, "stopped", "the sandbox was killed");
  } else if (act == "destroy") {
    destroyed(t, r);
  } else if (act == "inspect") {
    const std::string state = result.value("state", "lost");
    if (state == "lost") return lose(t, r, result.value("why", "the provider does not know it any more"));
    if (state == "stopped") return down(t, r, "stopped", "the sandbox was stopped");
    r.state = state;
    if (r.feed.empty()) watch(t, r);
  }
}

void failed(turn& t, record& r, std::string_view act, const problem& why) {
  if (act == "destroy") return destroy_failed(t, r, why);
  if (why.code == "not_found" && act != "create") return lose(t, r, why.detail);
  r.error = std::string(act) + " failed: " + why.detail;
  if (act == "create" || act == "start") r.state = "error";
  // A sandbox that cannot be looked at is not known to live.
  if (act == "inspect" && r.feed.empty()) r.state = "error";
}

}  // namespace

answer apply_outcome(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (o.effect != r.effect) return done();  // superseded by a destruction
  const std::string act = r.doing;
  r.doing.clear();
  r.effect.clear();
  if (o.ok())
    succeeded(t, r, act, o.result());
  else
    failed(t, r, act, o.error());
  save(t, r, true);
  if (r.state == "destroyed" && r.leaving) t.retire();
  return done();
}

answer apply_watch(turn& t, const json& body) {
  auto r = load(t);
  if (body.value("feed", "") != r.feed) return done();
  const auto before = r.state;
  bool changed = false;
  for (const auto& entry : body.at("entries")) {
    const std::string type = entry.value("type", "");
    if (type == "process") {
      merge_process(t, r.generation, entry.at("process"));
    } else if (type == "usage") {
      r.memory_mb = entry.value("memory_mb", r.memory_mb);
      r.pids = entry.value("pids", r.pids);
      changed = true;
    } else if (type == "state") {
      const std::string state = entry.value("state", ""), why = entry.value("why", "the daemon says so");
      if (state == "lost") lose(t, r, why);
      // An act under way is about to say the same; its outcome decides.
      if (r.doing.empty() && (state == "running" || state == "paused")) r.state = state;
      if (r.doing.empty() && state == "stopped") {
        r.error = why;
        down(t, r, "stopped", why);
      }
      t.append("log", {{"type", "state"}, {"state", state}, {"why", clip(why, max_log_text)}});
    } else {
      auto kept = entry;
      if (kept.contains("text") && kept["text"].is_string())
        kept["text"] = clip(kept["text"].get<std::string>(), max_log_text);
      t.append("log", kept);
    }
    if (r.feed.empty()) break;
  }
  if (changed || r.state != before) save(t, r, r.state != before);
  return done();
}

answer apply_watch_end(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (r.feed.empty() || o.context.value("watch", std::int64_t{-1}) != r.watch) return done();
  r.feed.clear();
  if (!o.ok() && o.error().code == "not_found") {
    if (r.doing.empty()) lose(t, r, o.error().detail);
  } else if (r.doing.empty() && (r.state == "running" || r.state == "paused")) {
    begin(t, r, "inspect");
  }
  save(t, r, true);
  return done();
}

}  // namespace troupe::actors::sandboxes
