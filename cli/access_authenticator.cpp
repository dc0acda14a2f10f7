#include "cli/access_authenticator.h"

#include <algorithm>
#include <iterator>

#include "actors/access/secret.h"
#include "actors/roles.h"

namespace troupe::cli {

namespace {

// A handle is what kind of secret it was, and its hash.
constexpr std::string_view token_prefix = "token:";
constexpr std::string_view session_prefix = "session:";
constexpr std::size_t max_arrivals = 256;

const key& access_key() {
  static const key k("access");
  return k;
}

gateway::principal principal_of(const actors::identity& who) {
  return {who.user, who.admin, false, who.roles};
}

std::optional<gateway::identified> identified_by(const std::optional<actors::identity>& who,
                                                 std::string_view prefix, std::string_view secret) {
  if (!who) return std::nullopt;
  return gateway::identified{principal_of(*who), std::string(prefix) + actors::hash_of_secret(secret)};
}

}  // namespace

access_authenticator::access_authenticator(host& h, actors::directory& known) : host_(h), known_(known) {
  // The directory outlives this object, which is why its listener holds what it needs.
  known_.on_change([&known, queue = arrivals_] {
    std::deque<arrivals::one> arrived;
    {
      const std::lock_guard lock(queue->mutex);
      auto& waiting = queue->waiting;
      const auto in = std::stable_partition(waiting.begin(), waiting.end(), [&](const auto& one) {
        return !known.by_session_hash(one.hash).has_value();
      });
      std::move(in, waiting.end(), std::back_inserter(arrived));
      waiting.erase(in, waiting.end());
    }
    for (auto& one : arrived) one.answer();
  });
}

std::optional<gateway::identified> access_authenticator::by_token(std::string_view token) const {
  return identified_by(known_.by_token(token), token_prefix, token);
}

std::optional<gateway::identified> access_authenticator::by_cookie(std::string_view cookie) const {
  return identified_by(known_.by_session(cookie), session_prefix, cookie);
}

std::optional<gateway::principal> access_authenticator::again(const std::string& handle) const {
  std::optional<actors::identity> who;
  if (handle.starts_with(token_prefix)) who = known_.by_token_hash(handle.substr(token_prefix.size()));
  if (handle.starts_with(session_prefix)) who = known_.by_session_hash(handle.substr(session_prefix.size()));
  if (!who) return std::nullopt;
  return principal_of(*who);
}

void access_authenticator::sign_in(std::string word, std::string label, on_signed_in done) {
  auto cookie = actors::make_secret("trs");
  const auto hash = actors::hash_of_secret(cookie);
  json body{{"link", actors::hash_of_secret(word)}, {"session", hash}};
  if (!label.empty()) body["label"] = label.substr(0, 200);
  host_.command_as_host(
      access_key(), "access.redeem_link", std::move(body), "redeem " + hash,
      [&known = known_, queue = arrivals_, hash, cookie = std::move(cookie),
       done = std::move(done)](const reply& r) {
        if (!r.ok()) return done(r.error());
        const auto left = r.result().at("expires_at").get<std::int64_t>() - to_ms(system_clock().now());
        gateway::signed_in in{cookie, static_cast<int>(std::max<std::int64_t>(0, left / 1000))};
        {
          const std::lock_guard lock(queue->mutex);
          if (!known.by_session_hash(hash) && queue->waiting.size() < max_arrivals) {
            queue->waiting.push_back({hash, [done, in] { done(in); }});
            return;
          }
        }
        done(std::move(in));
      });
}

void access_authenticator::sign_out(const std::string& handle, on_done done) {
  if (!handle.starts_with(session_prefix)) {
    return done(conflict("not_a_session", "a token is not signed out of but revoked: access.revoke_token"));
  }
  const auto hash = handle.substr(session_prefix.size());
  host_.command_as_host(access_key(), "access.end_session", {{"session", actors::id_of_hash(hash)}},
                        "sign out " + hash, [done = std::move(done)](const reply& r) {
                          done(r.ok() ? std::optional<problem>() : std::optional<problem>(r.error()));
                        });
}

void access_authenticator::list(const std::string& user, on_credentials done) {
  client_query q{
      access_key(), "access.list_credentials", {{"user", user}}, std::string(actors::host_principal)};
  host_.query(std::move(q), [user, done = std::move(done)](const reply& r) {
    if (!r.ok()) return done(r.error());
    const auto rows = [&](const char* name) {
      std::vector<gateway::credential> all;
      for (const auto& one : r.result().at(name)) {
        const auto& end = one.at("expires_at");
        all.push_back({one.at("id"), user, one.at("label"), one.at("created_at"),
                       end.is_null() ? 0 : end.get<std::int64_t>()});
      }
      return all;
    };
    done(gateway::credentials{rows("sessions"), rows("tokens")});
  });
}

void access_authenticator::on_change(std::function<void()> f) {
  known_.on_change(std::move(f));
}

}  // namespace troupe::cli
