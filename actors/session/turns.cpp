// A prompt at work, from the moment that the agent gets it until everything of it is settled. The feed says
// when it is over; the effect's own outcome only counts when the feed stays silent.
#include "actors/audit_entry.h"
#include "actors/json_read.h"
#include "actors/session/advance.h"
#include "actors/session/handlers.h"
#include "actors/session/queue.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

// The effect outlives the prompt's own deadline: it is the session that ends a turn, not the driver.
constexpr std::chrono::minutes effect_margin{10};

void clear_timers(turn& t) {
  t.clear_timer("prompt");
  t.clear_timer("force_end");
  t.clear_timer("settle");
}

void add_usage(record& r, const json& usage) {
  r.input_tokens += number_field(usage, "inputTokens");
  r.output_tokens += number_field(usage, "outputTokens");
  r.cached_read_tokens += number_field(usage, "cachedReadTokens");
  r.cached_write_tokens += number_field(usage, "cachedWriteTokens");
  r.total_tokens += number_field(usage, "totalTokens");
}

int unfinished(const json& plan) {
  int count = 0;
  for (const auto& entry : plan)
    if (text_field(entry, "status") != "completed") ++count;
  return count;
}

// An agent that stops in the middle of its own plan is asked to go on, twice in a row at most.
void guard_plan(turn& t, record& r, std::string_view stop_reason) {
  const int open = unfinished(r.plan);
  if (!r.guard || stop_reason != "end_turn" || open == 0 || queued(t) > 0) return;
  if (r.guard_count >= max_guards_in_a_row || r.guard_total >= max_guards_per_prompt) return;
  ++r.guard_count;
  ++r.guard_total;
  const auto text =
      "Your plan has " + std::to_string(open) + (open == 1 ? " entry that is" : " entries that are") +
      " not completed. Go on with it; if something stands in your way, say what, and bring the plan up to "
      "date.";
  enqueue(t, json::array({{{"type", "text"}, {"text", text}}}), "troupe", true, true);
}

void hold_to_budget(turn& t, record& r) {
  if (r.max_tokens == 0 || r.total_tokens < r.max_tokens) return;
  r.error = "the budget of " + std::to_string(r.max_tokens) + " tokens is used up (" +
            std::to_string(r.total_tokens) + "); session.set_limits raises it, session.resume goes on";
  t.append("transcript", {{"type", "error"}, {"code", "budget_exhausted"}, {"message", r.error}});
  r.status = "error";
}

}  // namespace

void begin_turn(turn& t, record& r) {
  const auto next = dequeue(t);
  if (!next) return;
  running_turn now{.prompt = next->id, .request = "troupe-" + t.new_id(), .started_at = t.now_ms()};
  auto content = next->content;
  if (r.context_due) {
    content.insert(content.begin(), json{{"type", "text"}, {"text", context(t)}});
    r.context_due = false;
  }
  auto body = link_body(r);
  body.update(
      {{"agent_session", r.agent_session}, {"request_id", now.request}, {"prompt", std::move(content)}});
  const auto limit = std::chrono::seconds(r.prompt_seconds);
  now.effect = t.start({.kind = "agent.prompt",
                        .body = std::move(body),
                        .then = "session.apply_prompt_outcome",
                        .context = {{"request", now.request}},
                        .deadline = limit + effect_margin});
  t.set_timer("prompt", t.now() + limit, "session.expire_prompt", {{"request", now.request}});
  json entry{{"type", "prompt"}, {"prompt", now.prompt}, {"content", next->content}, {"by", next->by}};
  if (next->guard) {
    entry["guard"] = r.guard_count;
  } else {
    r.guard_count = r.guard_total = 0;
    remember(t, "person", text_of(next->content));
  }
  t.append("transcript", entry);
  save_turn(t, now);
  r.error.clear();
  happen(r, "begins");
}

void end_turn(turn& t, record& r, const turn_end& end) {
  const auto now = current_turn(t);
  if (!now) return;
  clear_timers(t);
  close_tool_calls(t, now->ending.empty() ? end.stop_reason : now->ending);
  withdraw_permissions(t);
  // Never after a regular end: the driver would take it for a wish to stop the agent, and the next prompt may
  // run by then.
  if (end.agent_gone) t.cancel(now->effect);
  t.run("DELETE FROM turn");
  add_usage(r, end.usage);

  // Our own reason is the better one: the agent only knows that it was cancelled.
  const auto reason = now->ending.empty() ? end.stop_reason : now->ending;
  json entry{{"type", "turn_ended"},
             {"prompt", now->prompt},
             {"stop_reason", reason},
             {"duration_ms", t.now_ms() - now->started_at}};
  if (reason != end.stop_reason) entry["agent_said"] = end.stop_reason;
  if (!end.usage.is_null()) entry["usage"] = end.usage;
  if (!end.error.is_null()) entry["error"] = end.error;
  if (now->refused) entry["refused"] = true;
  t.append("transcript", entry);

  ++r.turns;
  if (!end.error.is_null()) r.error = text_field(end.error, "message");
  if (now->ending == "deadline")
    r.error = "the prompt was stopped at its deadline of " + std::to_string(r.prompt_seconds) + " s";
  if (now->ending == "budget") r.error = r.held;
  const bool broken = end.agent_gone && now->ending.empty() && !end.stop_reason.starts_with("sandbox_");
  happen(r, broken ? "failed" : "ends");
  if (!end.agent_gone && now->ending.empty() && end.error.is_null()) guard_plan(t, r, end.stop_reason);
  hold_to_budget(t, r);
}

void cancel_turn(turn& t, record& r, std::string_view ending) {
  auto now = current_turn(t);
  if (!now || !now->ending.empty()) return;
  now->ending = ending;
  save_turn(t, *now);
  cancel_permissions(t, r);
  auto body = link_body(r);
  body["agent_session"] = r.agent_session;
  t.start({.kind = "agent.cancel",
           .body = std::move(body),
           .then = "session.apply_sent",
           .context = {{"what", "cancel"}, {"link", r.links}}});
  const auto grace = ending == "budget" ? budget_grace : cancel_grace;
  t.set_timer("force_end", t.now() + grace, "session.force_end", {{"request", now->request}});
}

answer apply_prompt_outcome(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto now = current_turn(t);
  if (!now || now->effect != o.effect) return done();
  now->outcome = body;
  save_turn(t, *now);
  const auto r = load(t);
  const bool feed_is_silent = r.feed.empty();
  t.set_timer("settle", feed_is_silent ? t.now() : t.now() + settle_time, "session.settle_turn",
              {{"request", now->request}});
  return done();
}

// The effect knows the end, the feed did not bring it in time: believe the effect.
answer settle_turn(turn& t, const json& body) {
  const auto now = current_turn(t);
  if (!now || now->request != body.at("request") || now->outcome.is_null()) return done();
  auto r = load(t);
  const auto o = outcome::of(now->outcome);
  if (o.ok()) {
    end_turn(t, r,
             {.stop_reason = text_field(o.result(), "stop_reason"), .usage = field(o.result(), "usage")});
  } else {
    // Only an error in the agent's own words leaves it usable.
    const bool usable = o.error().code == "agent_error";
    end_turn(t, r,
             {.stop_reason = "error",
              .error = {{"code", o.error().code}, {"message", clip(o.error().detail, max_error)}},
              .agent_gone = !usable});
    if (!usable) drop_link(t, r, true);
  }
  advance(t, r);
  return done();
}

answer expire_prompt(turn& t, const json& body) {
  const auto now = current_turn(t);
  if (!now || now->request != body.at("request")) return done();
  auto r = load(t);
  append_audit(t, "session.deadline", subject_of(t.self()),
               {{"prompt", now->prompt}, {"seconds", r.prompt_seconds}});
  cancel_turn(t, r, "deadline");
  advance(t, r);
  return done();
}

// An agent that does not stop when asked is ended; the next prompt starts it again.
answer force_end(turn& t, const json& body) {
  const auto now = current_turn(t);
  if (!now || now->request != body.at("request")) return done();
  auto r = load(t);
  drop_link(t, r, true);
  end_turn(t, r,
           {.stop_reason = now->ending,
            .error = {{"code", "agent_silent"},
                      {"message", "the agent did not stop within " + std::to_string(cancel_grace.count()) +
                                      " s of being asked, so its process was ended"}},
            .agent_gone = true});
  advance(t, r);
  return done();
}

}  // namespace troupe::actors::sessions
