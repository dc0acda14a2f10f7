#include "actors/session/advance.h"
#include "actors/session/handlers.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

constexpr std::size_t shown_prompt = 500;  // bytes of a waiting prompt

json permission_row(const auto& row) {
  const auto text = [&](int c) { return row.template get<std::string>(c); };
  json p{{"permission", text(0)},
         {"tool_call", text(1)},
         {"title", text(2)},
         {"kind", text(3)},
         {"scope", text(4)},
         {"state", text(5)},
         {"options", json::parse(text(6))},
         {"detail", json::parse(text(7))}};
  p["asked_at"] = row.template get<std::int64_t>(8);
  p["expires_at"] = row.template get<std::int64_t>(9);
  if (const auto answer = text(10); !answer.empty()) p["answer"] = answer;
  if (const auto by = text(11); !by.empty()) p["by"] = by;
  return p;
}

json queue_rows(const view& v) {
  json rows = json::array();
  v.each("SELECT id, content, by, guard, at FROM prompt ORDER BY position", [&](const auto& row) {
    json p{{"prompt", row.template get<std::string>(0)},
           {"text", clip(text_of(json::parse(row.template get<std::string>(1))), shown_prompt)},
           {"by", row.template get<std::string>(2)},
           {"at", row.template get<std::int64_t>(4)}};
    if (row.template get<bool>(3)) p["guard"] = true;
    rows.push_back(std::move(p));
  });
  return rows;
}

json call_rows(const view& v) {
  json rows = json::array();
  v.each(
      "SELECT id, title, kind, status, started_at FROM tool_call WHERE status NOT IN ('completed', 'failed') "
      "ORDER BY started_at, id LIMIT 50",
      [&](const auto& row) {
        rows.push_back({{"tool_call", row.template get<std::string>(0)},
                        {"title", row.template get<std::string>(1)},
                        {"kind", row.template get<std::string>(2)},
                        {"status", row.template get<std::string>(3)},
                        {"started_at", row.template get<std::int64_t>(4)}});
      });
  return rows;
}

json usage(const record& r) {
  return {{"context_used", r.context_used},
          {"context_size", r.context_size},
          {"input_tokens", r.input_tokens},
          {"output_tokens", r.output_tokens},
          {"cached_read_tokens", r.cached_read_tokens},
          {"cached_write_tokens", r.cached_write_tokens},
          {"total_tokens", r.total_tokens},
          {"cost", r.cost_before + r.cost},
          {"currency", r.currency}};
}

}  // namespace

answer get_prompt(const view& v, const json& body) {
  const std::string id = body.at("prompt");
  const auto content = v.one<std::string>("SELECT content FROM prompt WHERE id = ?", id);
  if (!content) return not_found("no prompt " + id + " waits in this session; what ran is in the transcript");
  return json{{"prompt", id}, {"content", json::parse(*content)}};
}

answer list_permissions(const view& v, const json&) {
  json rows = json::array();
  v.each(
      "SELECT id, tool_call, title, kind, scope, state, options, detail, asked_at, expires_at, answer, by "
      "FROM permission ORDER BY asked_at DESC, id DESC LIMIT 250",
      [&](const auto& row) { rows.push_back(permission_row(row)); });
  json always = json::array();
  v.each("SELECT scope, by, at FROM remembered ORDER BY at LIMIT 1000", [&](const auto& row) {
    always.push_back({{"scope", row.template get<std::string>(0)},
                      {"by", row.template get<std::string>(1)},
                      {"at", row.template get<std::int64_t>(2)}});
  });
  return json{{"permissions", std::move(rows)}, {"always", std::move(always)}};
}

json snapshot(const view& v) {
  const auto r = load(v);
  json permissions = json::array();
  v.each(
      "SELECT id, tool_call, title, kind, scope, state, options, detail, asked_at, expires_at, answer, by "
      "FROM permission WHERE state = 'pending' ORDER BY asked_at, id LIMIT 50",
      [&](const auto& row) { permissions.push_back(permission_row(row)); });
  json s{{"status", r.status},
         {"agent", r.agent},
         {"title", r.title},
         {"created_by", r.created_by},
         {"created_at", r.created_at},
         {"updated_at", r.updated_at},
         {"limits",
          {{"guard", r.guard},
           {"prompt_seconds", r.prompt_seconds},
           {"permission_seconds", r.permission_seconds},
           {"max_tokens", r.max_tokens}}},
         {"sandbox_state", r.sandbox_state},
         {"waits_for_slot", r.asking && r.slot != r.ask},
         {"connected", r.link == "up"},
         {"plan", r.plan},
         {"usage", usage(r)},
         {"turns", r.turns},
         {"queue", queue_rows(v)},
         {"permissions", std::move(permissions)},
         {"tool_calls", call_rows(v)},
         {"commands", r.commands}};
  const auto put = [&](const char* name, const json& value) {
    if (!value.is_null()) s[name] = value;
  };
  put("agent_info", r.agent_info);
  put("modes", r.modes);
  put("models", r.models);
  put("config_options", r.config_options);
  if (!r.error.empty()) s["error"] = r.error;
  if (!r.held.empty()) s["held"] = r.held;
  if (!r.mode_wanted.empty()) s["mode"] = r.mode_wanted;
  if (!r.model_wanted.empty()) s["model"] = r.model_wanted;
  if (!r.connection.empty()) s["connection"] = r.connection;
  if (const auto now = current_turn(v)) {
    json running{{"prompt", now->prompt}, {"started_at", now->started_at}};
    if (!now->ending.empty()) running["ending"] = now->ending;
    s["turn"] = std::move(running);
  }
  const auto transcript = v.stream("transcript");
  s["transcript"] = {{"first", transcript.first}, {"last", transcript.last}};
  return s;
}

}  // namespace troupe::actors::sessions
