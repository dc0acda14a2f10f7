#include "actors/session/advance.h"

#include "actors/session/session.h"

namespace troupe::actors::sessions {
namespace {

json summary(const turn& t, const record& r) {
  json s{{"session", t.self().id()},
         {"title", r.title},
         {"agent", r.agent},
         {"status", r.status},
         {"ask", r.ask},
         {"demand", r.asking},
         {"queued", queued(t)},
         {"pending_permissions", pending_permissions(t)},
         {"turns", r.turns},
         {"total_tokens", r.total_tokens},
         {"cost", r.cost_before + r.cost}};
  if (!r.error.empty()) s["error"] = r.error;
  if (!r.currency.empty()) s["currency"] = r.currency;
  if (!r.model_wanted.empty()) s["model"] = r.model_wanted;
  if (!r.mode_wanted.empty()) s["mode"] = r.mode_wanted;
  return s;
}

void tell_task(turn& t, record& r) {
  auto s = summary(t, r);
  auto text = s.dump();
  if (text == r.summary) return;
  r.summary = std::move(text);
  s["updated_at"] = t.now_ms();
  t.send(*t.self().parent(), "task.apply_session_summary", std::move(s));
}

bool wants_to_run(const view& v, const record& r) {
  if (r.status == "closed" || r.status == "error") return false;
  return r.wake || current_turn(v).has_value() || queued(v) > 0;
}

// A slot belongs to one wish to run: an answer to an earlier one, still on its way, must not start anything.
void ask_or_give_back(turn& t, record& r) {
  const bool wanted = wants_to_run(t, r);
  if (wanted && !r.asking) {
    r.asking = true;
    ++r.ask;
  } else if (!wanted && r.asking) {
    r.asking = false;
    r.slot = 0;
  }
}

}  // namespace

void happen(record& r, std::string_view event) {
  if (const auto to = next_state(session_transitions(), r.status, event)) r.status = *to;
}

void advance(turn& t, record& r) {
  if (r.link == "up") r.wake = false;
  ask_or_give_back(t, r);
  if (r.may_run() && !current_turn(t)) {
    if (r.link.empty()) {
      start_agent(t, r);
    } else if (r.link == "up" && !settings_pending(t) && queued(t) > 0) {
      begin_turn(t, r);
    }
  }
  tell_task(t, r);
  save(t, r);
}

}  // namespace troupe::actors::sessions
