// What the agent may do is asked of people. A request waits for an answer, for its time to run out (then it
// is refused), or for the turn to end. "Always" is remembered for the session, also across restarts of the
// agent.
#include "actors/audit_entry.h"
#include "actors/json_read.h"
#include "actors/session/advance.h"
#include "actors/session/handlers.h"
#include "actors/session/scope.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

constexpr std::size_t max_detail = 16 << 10;  // bytes of what a request is about; the transcript has it whole

void tell_agent(turn& t, const record& r, const json& request_id, const std::optional<std::string>& option) {
  auto body = link_body(r);
  body["request_id"] = request_id;
  body["option"] = option ? json(*option) : json(nullptr);
  t.start({.kind = "agent.answer",
           .body = std::move(body),
           .then = "session.apply_sent",
           .context = {{"what", "answer"}, {"link", r.links}}});
}

json bounded_detail(const json& call) {
  json d = json::object();
  for (const auto* name : {"content", "rawInput", "locations"})
    if (const auto& f = field(call, name); !f.is_null()) d[name] = f;
  const auto text = d.dump();
  if (text.size() <= max_detail) return d;
  return {{"cut", true}, {"text", clip(text, max_detail)}};
}

struct asked {
  std::string id, title, scope, connection;
  json request, options;
};

std::optional<asked> find_pending(const view& v, const std::string& id) {
  std::optional<asked> found;
  v.each(
      "SELECT id, title, scope, connection, request, options FROM permission WHERE id = ? AND state = "
      "'pending'",
      [&](const auto& row) {
        const auto text = [&](int c) { return row.template get<std::string>(c); };
        found = asked{text(0), text(1), text(2), text(3), json::parse(text(4)), json::parse(text(5))};
      },
      id);
  return found;
}

void settle(turn& t, const record& r, const asked& p, std::string_view state, std::string_view answer,
            const std::optional<std::string>& option, const std::string& by) {
  t.clear_timer("permission " + p.id);
  t.run("UPDATE permission SET state = ?, answer = ?, by = ? WHERE id = ?", state, answer, by, p.id);
  t.run(
      "DELETE FROM permission WHERE id IN (SELECT id FROM permission WHERE state <> 'pending' "
      "ORDER BY asked_at DESC, id DESC LIMIT -1 OFFSET ?)",
      kept_permissions);
  json entry{{"type", "permission_answered"}, {"permission", p.id}, {"answer", answer}, {"by", by}};
  if (option) entry["option"] = *option;
  t.append("transcript", entry);
  if (p.connection == r.connection && r.link == "up") tell_agent(t, r, p.request, option);
}

void mark_refused(turn& t) {
  if (auto now = current_turn(t)) {
    now->refused = true;
    save_turn(t, *now);
  }
}

}  // namespace

void ask_permission(turn& t, record& r, const json& request_id, const json& params) {
  const auto& call = field(params, "toolCall");
  merge_tool_call(t, call);
  const auto tool_call = clip(text_field(call, "toolCallId"), 200);
  auto title = text_field(call, "title"), kind = text_field(call, "kind");
  // What the call said of itself before counts where the request is silent.
  t.each(
      "SELECT title, kind FROM tool_call WHERE id = ?",
      [&](const auto& row) {
        if (title.empty()) title = row.template get<std::string>(0);
        if (kind.empty()) kind = row.template get<std::string>(1);
      },
      tool_call);
  const auto& options = field(params, "options");
  asked p{t.new_id(),   clip(title, 500), permission_scope(kind, title),
          r.connection, request_id,       options.is_array() ? options : json::array()};
  const auto expires = t.now() + std::chrono::seconds(r.permission_seconds);
  t.append("transcript", {{"type", "permission_requested"},
                          {"permission", p.id},
                          {"request", params},
                          {"expires_at", to_ms(expires)}});
  const auto now = current_turn(t);
  const bool ending = !now || !now->ending.empty();
  const bool known = t.one<int>("SELECT 1 FROM remembered WHERE scope = ?", p.scope).has_value();
  const bool full = pending_permissions(t) >= max_pending_permissions;
  t.run(
      "INSERT INTO permission (id, request, connection, tool_call, title, kind, detail, options, scope, "
      "asked_at, "
      "expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      p.id, request_id.dump(), p.connection, tool_call, p.title, clip(kind, 40), bounded_detail(call).dump(),
      p.options.dump(), p.scope, t.now_ms(), to_ms(expires));
  if (ending) return settle(t, r, p, "withdrawn", "cancelled", std::nullopt, "troupe");
  if (full) {
    mark_refused(t);
    return settle(t, r, p, "expired", "reject", option_for(p.options, "reject"),
                  "troupe: too many requests wait");
  }
  if (known)
    if (const auto option = option_for(p.options, "allow_once"))
      return settle(t, r, p, "answered", "allow_once", option, "troupe: always allowed before");
  if (r.permission_seconds > 0)
    t.set_timer("permission " + p.id, expires, "session.expire_permission", {{"permission", p.id}});
  happen(r, "asks");
}

answer answer_permission(turn& t, const json& body) {
  auto r = load(t);
  const std::string id = body.at("permission");
  const auto p = find_pending(t, id);
  if (!p) {
    const auto state = t.one<std::string>("SELECT state FROM permission WHERE id = ?", id);
    if (!state) return not_found("the session has no permission request " + id);
    return conflict("permission_settled", "permission request " + id + " is " + *state + " already");
  }
  const std::string said = body.at("answer");
  std::optional<std::string> option;
  if (body.contains("option")) {
    option = body["option"].get<std::string>();
    if (!has_option(p->options, *option))
      return unprocessable("unknown_option", "the agent did not offer the option " + *option);
  } else {
    option = option_for(p->options, said);
    if (!option && said != "reject")
      return unprocessable("option_missing", "the agent offers nothing that means " + said +
                                                 "; it offers: " + option_kinds(p->options));
  }
  if (said == "allow_always")
    t.run("INSERT OR REPLACE INTO remembered (scope, by, at) VALUES (?, ?, ?)", p->scope, t.principal(),
          t.now_ms());
  if (said == "reject") mark_refused(t);
  settle(t, r, *p, "answered", said, option, t.principal());
  if (pending_permissions(t) == 0) happen(r, "answered");
  advance(t, r);
  return json{{"option", option ? json(*option) : json(nullptr)}};
}

answer expire_permission(turn& t, const json& body) {
  const auto p = find_pending(t, body.at("permission"));
  if (!p) return done();
  auto r = load(t);
  mark_refused(t);
  settle(t, r, *p, "expired", "reject", option_for(p->options, "reject"), "troupe: nobody answered in time");
  append_audit(t, "session.permission_expired", subject_of(t.self()),
               {{"permission", p->id}, {"title", p->title}});
  if (pending_permissions(t) == 0) happen(r, "answered");
  advance(t, r);
  return done();
}

void cancel_permissions(turn& t, record& r) {
  std::vector<std::string> ids;
  t.each("SELECT id FROM permission WHERE state = 'pending'",
         [&](const auto& row) { ids.push_back(row.template get<std::string>(0)); });
  // A turn may also end because its sandbox is lost, and then nobody has answered.
  const auto by = t.from().is == sender::type::client ? t.principal() : std::string("troupe");
  for (const auto& id : ids)
    if (const auto p = find_pending(t, id)) settle(t, r, *p, "withdrawn", "cancelled", std::nullopt, by);
  if (!ids.empty()) happen(r, "answered");
}

void withdraw_permissions(turn& t) {
  t.each("SELECT id FROM permission WHERE state = 'pending'", [&](const auto& row) {
    const auto id = row.template get<std::string>(0);
    t.clear_timer("permission " + id);
    t.append(
        "transcript",
        {{"type", "permission_answered"}, {"permission", id}, {"answer", "withdrawn"}, {"by", "troupe"}});
  });
  t.run(
      "UPDATE permission SET state = 'withdrawn', answer = 'withdrawn', by = 'troupe' WHERE state = "
      "'pending'");
}

}  // namespace troupe::actors::sessions
