#include "actors/access/access.h"
#include "actors/access/handlers.h"
#include "actors/access/secret.h"
#include "actors/body.h"
#include "actors/roles.h"

namespace troupe::actors::access_actor {
namespace {

// One problem for every reason: who guesses words of links learns nothing.
problem invalid_link() {
  return {401, "link_invalid",
          "the sign-in link is not valid: it was used already, is older than ten minutes, or never was one. "
          "Ask for a "
          "new one (`troupe serve` prints one; `access.create_link` makes one)"};
}

}  // namespace

answer create_link(turn& t, const json& body) {
  const auto user = text_or(body, "user", t.principal());
  if (!may_act_for(t, user))
    return forbidden("only " + user + " or an administrator of the instance makes a sign-in link for " +
                     user);
  if (auto why = require_active(t, user)) return *why;
  const auto hash = text_or(body, "hash", "");
  if (t.one<int>("SELECT 1 FROM links WHERE hash = ?", hash)) {
    return conflict("exists", "a link with this hash exists already; make a new random one");
  }
  t.run(
      "DELETE FROM links WHERE user = ?1 AND hash NOT IN"
      " (SELECT hash FROM links WHERE user = ?1 ORDER BY created_at DESC, hash LIMIT ?2)",
      user, access_limits::links_per_user - 1);
  const auto expires_at = to_ms(t.now() + access_limits::link_lifetime);
  t.run("INSERT INTO links (hash, user, created_at, expires_at) VALUES (?, ?, ?, ?)", hash, user, t.now_ms(),
        expires_at);
  arm_expiry(t);
  return json{{"user", user}, {"expires_at", expires_at}};
}

answer redeem_link(turn& t, const json& body) {
  const auto link = text_or(body, "link", "");
  const auto user =
      t.one<std::string>("SELECT user FROM links WHERE hash = ? AND expires_at > ?", link, t.now_ms());
  if (!user) return invalid_link();
  const auto hash = text_or(body, "session", "");
  const auto id = id_of_hash(hash);
  if (t.one<int>("SELECT 1 FROM sessions WHERE session = ?", id)) {
    return conflict("exists", "a session with this hash exists already; make a new random one");
  }
  t.run("DELETE FROM links WHERE hash = ?", link);
  t.run(
      "DELETE FROM sessions WHERE user = ?1 AND session NOT IN"
      " (SELECT session FROM sessions WHERE user = ?1 ORDER BY created_at DESC, session LIMIT ?2)",
      *user, access_limits::sessions_per_user - 1);
  const auto expires_at = to_ms(t.now() + access_limits::session_lifetime);
  t.run("INSERT INTO sessions (session, user, label, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        id, *user, text_or(body, "label", ""), hash, t.now_ms(), expires_at);
  directory_changed(t);
  arm_expiry(t);
  return json{{"user", *user}, {"session", id}, {"expires_at", expires_at}};
}

}  // namespace troupe::actors::access_actor
