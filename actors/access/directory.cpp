#include "actors/access/directory.h"

#include <nlohmann/json.hpp>

#include "actors/access/secret.h"
#include "actors/roles.h"

namespace troupe::actors {

std::shared_ptr<const directory::state> directory::now() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

bool directory::loaded() const {
  return now() != nullptr;
}

std::optional<identity> directory::find(const by_text<credential> state::*credentials,
                                        std::string_view hash) const {
  const auto known = now();
  if (!known) return std::nullopt;
  const auto it = ((*known).*credentials).find(hash);
  if (it == ((*known).*credentials).end()) return std::nullopt;
  if (it->second.expires_at && *it->second.expires_at <= to_ms(time_.now())) return std::nullopt;
  const auto user = known->users.find(it->second.user);
  if (user == known->users.end()) return std::nullopt;
  return user->second;
}

std::optional<identity> directory::by_token(std::string_view token) const {
  return by_token_hash(hash_of_secret(token));
}

std::optional<identity> directory::by_session(std::string_view cookie) const {
  return by_session_hash(hash_of_secret(cookie));
}

std::optional<identity> directory::by_token_hash(std::string_view hash) const {
  return find(&state::tokens, hash);
}

std::optional<identity> directory::by_session_hash(std::string_view hash) const {
  return find(&state::sessions, hash);
}

std::optional<identity> directory::by_user(std::string_view user) const {
  const auto known = now();
  if (!known) return std::nullopt;
  const auto it = known->users.find(user);
  if (it == known->users.end()) return std::nullopt;
  return it->second;
}

std::optional<std::string> directory::role_in(std::string_view user, std::string_view organization) const {
  const auto known = now();
  if (!known) return std::nullopt;
  const auto it = known->users.find(user);
  if (it == known->users.end()) return std::nullopt;
  const auto role = it->second.roles.find(organization);
  if (role == it->second.roles.end()) return std::nullopt;
  return role->second;
}

void directory::replace(const nlohmann::json& users) {
  auto next = std::make_shared<state>();
  const auto take = [](const nlohmann::json& from, const std::string& user, by_text<credential>& into) {
    for (const auto& c : from) {
      const auto& end = c.at("expires_at");
      into[c.at("hash").get<std::string>()] = {
          user, end.is_null() ? std::nullopt : std::optional(end.get<std::int64_t>())};
    }
  };
  for (const auto& u : users) {
    if (!u.at("active").get<bool>()) continue;
    const auto name = u.at("user").get<std::string>();
    identity who{name, u.at("admin").get<bool>()};
    for (const auto& [organization, role] : u.at("organizations").items()) {
      who.roles[organization] = role.get<std::string>();
    }
    take(u.at("tokens"), name, next->tokens);
    take(u.at("sessions"), name, next->sessions);
    next->users[name] = std::move(who);
  }
  std::vector<std::function<void()>> listeners;
  {
    const std::lock_guard lock(mutex_);
    state_ = std::move(next);
    listeners = listeners_;
  }
  for (const auto& f : listeners) f();
}

void directory::on_change(std::function<void()> f) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back(std::move(f));
}

authorizer make_authorizer(const directory& known) {
  return [&known](const std::string& principal, const key& actor, std::string_view need) {
    if (principal == host_principal) return verdict::allow;
    if (need == role::host) return verdict::hidden;
    if (const auto organization = actor.id_of("org"); !organization.empty()) {
      const auto have = known.role_in(principal, organization);
      if (!have) return verdict::hidden;
      // No role is asked for what the kind does not know: who may see the actor is told just that.
      return need.empty() || at_least(*have, need) ? verdict::allow : verdict::forbidden;
    }
    const auto who = known.by_user(principal);
    if (!who) return verdict::hidden;
    if (need == role::user || (need == role::admin && who->admin)) return verdict::allow;
    return actor.kind() == "access" ? verdict::forbidden : verdict::hidden;
  };
}

}  // namespace troupe::actors
