// The agent's process: starting it, what it can do, its mode and model, and its end.
#include <algorithm>

#include "actors/json_read.h"
#include "actors/session/advance.h"
#include "actors/session/handlers.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

void keep_if_there(json& kept, const json& from, const char* name) {
  if (const auto& f = field(from, name); !f.is_null()) kept = f;
}

const json* config_option(const record& r, std::string_view category) {
  if (!r.config_options.is_array()) return nullptr;
  for (const auto& o : r.config_options)
    if (text_field(o, "category") == category || text_field(o, "id") == category) return &o;
  return nullptr;
}

std::string current_mode(const record& r) {
  if (const auto mode = text_field(r.modes, "currentModeId"); !mode.empty()) return mode;
  const auto* option = config_option(r, "mode");
  return option ? text_field(*option, "currentValue") : std::string();
}

std::string current_model(const record& r) {
  if (const auto* option = config_option(r, "model")) return text_field(*option, "currentValue");
  return text_field(r.models, "currentModelId");
}

void ask_agent(turn& t, const record& r, std::string_view what, const std::string& value) {
  auto body = link_body(r);
  body["agent_session"] = r.agent_session;
  body["request_id"] = "troupe-set-" + t.new_id();
  body[std::string(what)] = value;
  if (what == "model")
    if (const auto* option = config_option(r, "model")) body["config"] = text_field(*option, "id");
  const std::string kind = what == "model" ? "agent.set_model" : "agent.set_mode";
  const auto effect = t.start({.kind = kind,
                               .body = std::move(body),
                               .then = "session.apply_setting",
                               .context = {{"what", what}, {"value", value}, {"link", r.links}}});
  t.run("INSERT INTO setting (effect, what, value) VALUES (?, ?, ?)", effect, what, value);
}

void up(turn& t, record& r, const json& result) {
  const bool had_session = !r.agent_session.empty();
  r.link = "up";
  r.link_generation = r.generation;
  r.agent_session = text_field(result, "agent_session");
  const auto loaded = text_field(result, "loaded");
  r.replaying = loaded == "load";
  r.context_due = loaded == "new" && t.one<int>("SELECT 1 FROM said").has_value();
  keep_if_there(r.capabilities, result, "capabilities");
  keep_if_there(r.agent_info, result, "agent_info");
  keep_if_there(r.modes, result, "modes");
  keep_if_there(r.models, result, "models");
  keep_if_there(r.config_options, result, "config_options");
  r.cost_before += r.cost;
  r.cost = 0;
  r.error.clear();
  r.feed = t.follow({.kind = "agent.updates",
                     .body = link_body(r),
                     .on_batch = "session.apply_updates",
                     .on_end = "session.apply_updates_end",
                     .context = {{"link", r.links}}});
  t.append("transcript", {{"type", "agent_started"},
                          {"agent", r.agent},
                          {"how", had_session || r.context_due ? loaded : "new"},
                          {"agent_info", r.agent_info}});
  happen(r, r.turns == 0 ? "started" : "restarted");
  apply_wishes(t, r);
}

void start_failed(turn& t, record& r, const problem& why) {
  r.link.clear();
  if (why.code == "agent_error" && !r.agent_session.empty()) {
    // It does not know its session any more: a new one, told what was said.
    t.append("transcript",
             {{"type", "error"}, {"code", "session_not_loaded"}, {"message", clip(why.detail, max_error)}});
    r.agent_session.clear();
    return;
  }
  if (why.code == "not_found") {
    r.handle.clear();  // the sandbox is gone; the task hears of it from the sandbox itself
  }
  r.error = "the agent " + r.agent + " did not start: " + why.detail;
  t.append("transcript", {{"type", "error"}, {"code", why.code}, {"message", clip(r.error, max_error)}});
  happen(r, "failed");
}

}  // namespace

json link_body(const record& r) {
  return {{"handle", r.handle}, {"connection", r.connection}};
}

bool settings_pending(const view& v) {
  return v.one<int>("SELECT 1 FROM setting").has_value();
}

void start_agent(turn& t, record& r) {
  ++r.links;
  r.connection = std::string(t.self().id()) + "-" + std::to_string(r.links);
  r.start_request = "troupe-start-" + t.new_id();
  auto body = link_body(r);
  body.update({{"agent", r.agent},
               {"cwd", r.cwd},
               {"environment", r.environment},
               {"mcp_servers", r.mcp_servers},
               {"request_id", r.start_request}});
  if (!r.agent_session.empty()) body["agent_session"] = r.agent_session;
  r.link = "starting";
  r.link_generation = r.generation;
  r.start_effect = t.start({.kind = "agent.start",
                            .body = std::move(body),
                            .then = "session.apply_started",
                            .context = {{"link", r.links}},
                            .deadline = start_deadline});
  happen(r, "starting");
}

void drop_link(turn& t, record& r, bool stop) {
  if (r.link == "starting") t.cancel(r.start_effect);
  if (!r.feed.empty()) t.unfollow(r.feed);
  if (stop && !r.link.empty() && !r.handle.empty())
    t.start({.kind = "agent.stop",
             .body = link_body(r),
             .then = "session.apply_sent",
             .context = {{"what", "stop"}, {"link", r.links}}});
  r.feed.clear();
  r.link.clear();
  r.start_effect.clear();
  r.replaying = false;
  t.run("DELETE FROM setting");
}

void apply_wishes(turn& t, record& r) {
  if (r.link != "up") return;
  if (!r.mode_wanted.empty() && r.mode_wanted != current_mode(r)) ask_agent(t, r, "mode", r.mode_wanted);
  if (!r.model_wanted.empty() && r.model_wanted != current_model(r)) ask_agent(t, r, "model", r.model_wanted);
}

answer apply_started(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (o.effect != r.start_effect || r.link != "starting") return done();
  r.start_effect.clear();
  if (o.ok())
    up(t, r, o.result());
  else
    start_failed(t, r, o.error());
  advance(t, r);
  return done();
}

answer apply_setting(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  t.run("DELETE FROM setting WHERE effect = ?", o.effect);
  if (t.changes() == 0) return done();  // of an agent that is gone
  const std::string what = o.context.at("what"), value = o.context.at("value");
  if (o.ok()) {
    keep_if_there(r.config_options, o.result(), "config_options");
    if (what == "mode" && r.modes.is_object()) r.modes["currentModeId"] = value;
    if (what == "model" && r.models.is_object()) r.models["currentModelId"] = value;
    t.append("transcript", {{"type", "setting"}, {"what", what}, {"value", value}});
  } else {
    r.error = "the agent refused " + what + " " + value + ": " + o.error().detail;
    t.append("transcript",
             {{"type", "error"}, {"code", what + "_refused"}, {"message", clip(r.error, max_error)}});
    (what == "mode" ? r.mode_wanted : r.model_wanted).clear();
    // A prompt that waits was meant for another model or mode: nothing runs until a person has looked.
    if (!current_turn(t) && queued(t) > 0) happen(r, "failed");
  }
  advance(t, r);
  return done();
}

// Of cancelling, answering and stopping only the failures are news.
answer apply_sent(turn& t, const json& body) {
  const auto o = outcome::of(body);
  const auto r = load(t);
  if (o.ok() || o.context.value("link", std::int64_t{-1}) != r.links || r.link != "up") return done();
  t.append(
      "transcript",
      {{"type", "error"},
       {"code", o.error().code},
       {"message", clip("the agent was not told (" + o.context.value("what", "") + "): " + o.error().detail,
                        max_error)}});
  return done();
}

answer apply_updates_end(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (r.feed.empty() || o.context.value("link", std::int64_t{-1}) != r.links) return done();
  r.feed.clear();
  const std::string code = o.ok() ? "agent_failed" : o.error().code;
  const std::string why = o.ok() ? "the agent ended its process" : o.error().detail;
  const bool sandbox_gone = code == "not_found";
  drop_link(t, r, code != "agent_failed" && !sandbox_gone);
  if (sandbox_gone) r.handle.clear();
  if (current_turn(t)) {
    end_turn(t, r,
             {.stop_reason = sandbox_gone ? "sandbox_lost" : "agent_failed",
              .error = {{"code", code}, {"message", clip(why, max_error)}},
              .agent_gone = true});
  } else {
    t.append("transcript", {{"type", "error"}, {"code", code}, {"message", clip(why, max_error)}});
  }
  advance(t, r);
  return done();
}

namespace {

/// Whether the agent offers it, as far as it said what it offers.
bool offered(const json& list, const char* id, const std::string& wanted) {
  if (!list.is_array() || list.empty()) return true;
  return std::ranges::any_of(list, [&](const json& o) { return text_field(o, id) == wanted; });
}

std::optional<problem> refuse(const record& r, std::string_view command, const std::string& what,
                              const std::string& value) {
  if (!next_state(session_transitions(), r.status, command))
    return wrong_state(session_transitions(), "the session", r.status, command,
                       "session.resume opens a closed one again");
  const auto& list = what == "mode" ? field(r.modes, "availableModes") : field(r.models, "availableModels");
  const auto* option = config_option(r, what);
  const bool known = !list.is_null() ? offered(list, what == "mode" ? "id" : "modelId", value)
                                     : !option || offered(field(*option, "options"), "value", value);
  if (!known)
    return unprocessable("unknown_" + what, "the agent " + r.agent + " does not offer the " + what + " " +
                                                value + "; its snapshot lists what it offers");
  return std::nullopt;
}

answer set(turn& t, std::string_view command, const std::string& what, const std::string& value) {
  auto r = load(t);
  if (auto why = refuse(r, command, what, value)) return *why;
  (what == "mode" ? r.mode_wanted : r.model_wanted) = value;
  if (r.link == "up") ask_agent(t, r, what, value);
  advance(t, r);
  return done();
}

}  // namespace

answer set_mode(turn& t, const json& body) {
  return set(t, "session.set_mode", "mode", body.at("mode"));
}
answer set_model(turn& t, const json& body) {
  return set(t, "session.set_model", "model", body.at("model"));
}

}  // namespace troupe::actors::sessions
