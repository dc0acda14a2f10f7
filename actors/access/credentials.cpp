#include "actors/access/access.h"
#include "actors/access/handlers.h"
#include "actors/access/secret.h"
#include "actors/body.h"
#include "actors/roles.h"

namespace troupe::actors::access_actor {
namespace {

// Another's credential and one that does not exist must look the same.
problem no_credential(std::string_view what, const std::string& id) {
  return not_found("there is no " + std::string(what) + " " + id + " of yours");
}

}  // namespace

void arm_expiry(turn& t) {
  const auto next = t.one<std::int64_t>(
      "SELECT min(at) FROM (SELECT min(expires_at) AS at FROM tokens WHERE expires_at IS NOT NULL"
      " UNION ALL SELECT min(expires_at) FROM sessions UNION ALL SELECT min(expires_at) FROM links)");
  if (next) {
    t.set_timer("expire", from_ms(*next), "access.expire");
  } else {
    t.clear_timer("expire");
  }
}

answer create_token(turn& t, const json& body) {
  const auto user = text_or(body, "user", t.principal());
  if (!may_act_for(t, user))
    return forbidden("only " + user + " or an administrator of the instance makes a token for " + user);
  if (auto why = require_active(t, user)) return *why;
  const auto expires_at = integer_of(body, "expires_at");
  if (expires_at && *expires_at <= t.now_ms()) {
    return unprocessable("expires_in_the_past",
                         "expires_at is not in the future: the token would never work");
  }
  const auto hash = text_or(body, "hash", "");
  const auto id = id_of_hash(hash);
  if (t.one<int>("SELECT 1 FROM tokens WHERE token = ?", id)) {
    return conflict("exists", "a token with this hash exists already; make a new random one");
  }
  if (t.one<std::int64_t>("SELECT count(*) FROM tokens WHERE user = ?", user).value_or(0) >=
      access_limits::tokens_per_user) {
    return conflict("too_many_tokens", user + " has " + std::to_string(access_limits::tokens_per_user) +
                                           " tokens, the most one may have; revoke one first");
  }
  t.run("INSERT INTO tokens (token, user, label, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)", id,
        user, text_or(body, "label", ""), hash, t.now_ms(), expires_at);
  directory_changed(t);
  arm_expiry(t);
  return json{{"token", id}, {"user", user}};
}

answer revoke_token(turn& t, const json& body) {
  const auto id = text_or(body, "token", "");
  const auto user = t.one<std::string>("SELECT user FROM tokens WHERE token = ?", id);
  if (!user || !may_act_for(t, *user)) return no_credential("token", id);
  t.run("DELETE FROM tokens WHERE token = ?", id);
  directory_changed(t);
  arm_expiry(t);
  return done();
}

answer end_session(turn& t, const json& body) {
  const auto id = text_or(body, "session", "");
  const auto user = t.one<std::string>("SELECT user FROM sessions WHERE session = ?", id);
  if (!user || !may_act_for(t, *user)) return no_credential("session", id);
  t.run("DELETE FROM sessions WHERE session = ?", id);
  directory_changed(t);
  arm_expiry(t);
  return done();
}

answer end_sessions(turn& t, const json& body) {
  const auto user = text_or(body, "user", t.principal());
  if (!may_act_for(t, user))
    return forbidden("only " + user + " or an administrator of the instance signs " + user + " out");
  t.run("DELETE FROM sessions WHERE user = ?", user);
  const auto ended = t.changes();
  t.run("DELETE FROM links WHERE user = ?", user);
  directory_changed(t);
  arm_expiry(t);
  return json{{"ended", ended}};
}

answer expire(turn& t, const json&) {
  t.run("DELETE FROM tokens WHERE expires_at <= ?", t.now_ms());
  auto gone = t.changes();
  t.run("DELETE FROM sessions WHERE expires_at <= ?", t.now_ms());
  gone += t.changes();
  t.run("DELETE FROM links WHERE expires_at <= ?", t.now_ms());
  if (gone > 0) directory_changed(t);
  arm_expiry(t);
  return done();
}

}  // namespace troupe::actors::access_actor
