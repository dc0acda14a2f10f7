#include "actors/access/access.h"
#include "actors/access/handlers.h"
#include "actors/body.h"
#include "actors/roles.h"

namespace troupe::actors::access_actor {
namespace {

std::optional<std::string> state_of(const view& v, const std::string& user) {
  return v.one<std::string>("SELECT state FROM users WHERE user = ?", user);
}

problem no_user(const std::string& user) {
  return not_found("no user " + user + " is known here; `access.create_user` makes one");
}

void insert(turn& t, const std::string& user, const std::string& display_name, bool admin) {
  t.run("INSERT INTO users (user, display_name, admin, state, created_at) VALUES (?, ?, ?, 'active', ?)",
        user, display_name, admin, t.now_ms());
  directory_changed(t);
}

// Names under which the program itself stands in history and audit.
std::optional<problem> reserved(const std::string& user) {
  if (user != "host" && user != "local") return std::nullopt;
  return unprocessable("reserved_name",
                       "no user can be called " + user + ": the server acts under that name");
}

// An instance that nobody administers could not be repaired from inside.
bool last_admin(const view& v, const std::string& user) {
  return v.one<bool>("SELECT admin FROM users WHERE user = ? AND state = 'active'", user).value_or(false) &&
         v.one<std::int64_t>("SELECT count(*) FROM users WHERE admin = 1 AND state = 'active'").value_or(0) ==
             1;
}

problem keeps_last_admin(const std::string& user) {
  return conflict("last_admin",
                  user + " is the last active administrator of this instance; make another one first");
}

// The state in which the table of transitions puts `user`, or the problem why not.
std::variant<std::string, problem> next(const view& v, const std::string& user, std::string_view command,
                                        std::string_view remedy = {}) {
  const auto state = state_of(v, user);
  if (!state) return no_user(user);
  const auto to = next_state(user_transitions(), *state, command);
  if (!to) return wrong_state(user_transitions(), "user " + user, *state, command, remedy);
  return std::string(*to);
}

}  // namespace

void directory_changed(turn& t) {
  t.run("UPDATE directory_changes SET count = count + 1 WHERE id = 1");
}

bool may_act_for(const turn& t, std::string_view user) {
  if (t.from().is == sender::type::host || t.principal() == user) return true;
  return t.one<bool>("SELECT admin FROM users WHERE user = ? AND state = 'active'", t.principal())
      .value_or(false);
}

std::optional<problem> require_active(const view& v, const std::string& user) {
  const auto state = state_of(v, user);
  if (!state) return no_user(user);
  if (*state != "active") {
    return conflict("user_disabled", "user " + user + " is disabled; `access.enable_user` brings it back");
  }
  return std::nullopt;
}

answer initialize(turn& t, const json& body) {
  const auto user = text_or(body, "user", "owner");
  if (const auto first =
          t.one<std::string>("SELECT user FROM users WHERE admin = 1 ORDER BY created_at, user LIMIT 1")) {
    return json{{"created", false}, {"user", *first}};
  }
  if (auto why = reserved(user)) return *why;
  insert(t, user, text_or(body, "display_name", user), true);
  return json{{"created", true}, {"user", user}};
}

answer create_user(turn& t, const json& body) {
  const auto user = text_or(body, "user", "");
  if (auto why = reserved(user)) return *why;
  if (state_of(t, user)) return conflict("exists", "a user " + user + " exists already");
  if (t.one<std::int64_t>("SELECT count(*) FROM users").value_or(0) >= access_limits::users) {
    return too_many("too_many_users", "this instance has " + std::to_string(access_limits::users) +
                                          " users, the most it takes; remove one first");
  }
  insert(t, user, text_or(body, "display_name", user), flag_of(body, "admin"));
  return json{{"user", user}};
}

answer update_user(turn& t, const json& body) {
  const auto user = text_or(body, "user", "");
  if (!state_of(t, user)) return no_user(user);
  if (!flag_of(body, "admin", true) && last_admin(t, user)) return keeps_last_admin(user);
  if (const auto name = text_of(body, "display_name")) {
    t.run("UPDATE users SET display_name = ? WHERE user = ?", *name, user);
  }
  if (body.contains("admin")) {
    t.run("UPDATE users SET admin = ? WHERE user = ?", flag_of(body, "admin"), user);
    directory_changed(t);
  }
  return done();
}

answer disable_user(turn& t, const json& body) {
  const auto user = text_or(body, "user", "");
  const auto to = next(t, user, "access.disable_user");
  if (const auto* why = std::get_if<problem>(&to)) return *why;
  if (last_admin(t, user)) return keeps_last_admin(user);
  t.run("UPDATE users SET state = ? WHERE user = ?", std::get<std::string>(to), user);
  t.run("DELETE FROM tokens WHERE user = ?", user);
  t.run("DELETE FROM sessions WHERE user = ?", user);
  t.run("DELETE FROM links WHERE user = ?", user);
  directory_changed(t);
  return done();
}

answer enable_user(turn& t, const json& body) {
  const auto user = text_or(body, "user", "");
  const auto to = next(t, user, "access.enable_user");
  if (const auto* why = std::get_if<problem>(&to)) return *why;
  t.run("UPDATE users SET state = ? WHERE user = ?", std::get<std::string>(to), user);
  directory_changed(t);
  return done();
}

answer remove_user(turn& t, const json& body) {
  const auto user = text_or(body, "user", "");
  const auto to = next(t, user, "access.remove_user", "Disable the user first.");
  if (const auto* why = std::get_if<problem>(&to)) return *why;
  // A later user of that name must not inherit them.
  if (const auto org =
          t.one<std::string>("SELECT organization FROM memberships WHERE user = ? LIMIT 1", user)) {
    return conflict("has_memberships",
                    "user " + user + " is still a member of " + *org +
                        "; its organizations remove the member first (`org.remove_member`)");
  }
  t.run("DELETE FROM users WHERE user = ?", user);
  directory_changed(t);
  return done();
}

}  // namespace troupe::actors::access_actor
