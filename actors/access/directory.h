// Who is who, in memory: answers for every frame and every command without asking an actor. Fed by the access
// actor (directory_feed.h), so that a revocation is in force as soon as the next snapshot of it has arrived.
//
// Thread-safe. Before the first load everybody is unknown.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "runtime/clock.h"
#include "runtime/host.h"

namespace troupe::actors {

/// Somebody who may sign in. The principal of commands is `user`.
struct identity {
  std::string user;
  /// Administrator of the instance.
  bool admin = false;
  /// Organization → role.
  std::map<std::string, std::string, std::less<>> roles = {};
};

class directory {
 public:
  /// `time` is borrowed: a token past its end is refused even before the access actor has removed it.
  explicit directory(const clock& time) : time_(time) {}
  directory(const directory&) = delete;
  directory& operator=(const directory&) = delete;

  /// Whose token this is; nothing when it is unknown, revoked, past its end or its user disabled.
  std::optional<identity> by_token(std::string_view token) const;
  /// The same for the cookie of a browser session.
  std::optional<identity> by_session(std::string_view cookie) const;
  /// By the hashes of secret.h, for who keeps those rather than the secrets: an open connection, say.
  std::optional<identity> by_token_hash(std::string_view hash) const;
  std::optional<identity> by_session_hash(std::string_view hash) const;
  /// Nothing for a user that is unknown or disabled.
  std::optional<identity> by_user(std::string_view user) const;
  /// The role of an active user in an organization; nothing when it has none.
  std::optional<std::string> role_in(std::string_view user, std::string_view organization) const;
  bool loaded() const;

  /// Takes the users of access.directory (all pages in one array) in place of what was known, then calls the
  /// listeners.
  void replace(const nlohmann::json& users);
  /// Called after every change, on the thread that brought it; must return at once. Open connections ask
  /// again then.
  void on_change(std::function<void()>);

 private:
  struct credential {
    std::string user;
    std::optional<std::int64_t> expires_at;
  };
  template <class T>
  using by_text = std::map<std::string, T, std::less<>>;
  struct state {
    by_text<identity> users;
    by_text<credential> tokens;
    by_text<credential> sessions;
  };

  std::shared_ptr<const state> now() const;
  std::optional<identity> find(const by_text<credential> state::*credentials, std::string_view hash) const;

  const clock& time_;
  mutable std::mutex mutex_;
  std::shared_ptr<const state> state_;
  std::vector<std::function<void()>> listeners_;
};

/// What host_options.authorize asks. In an organization its roles count and nobody else sees it; elsewhere
/// `user` is anybody who may sign in and `admin` the administrator of the instance. The directory outlives
/// the host.
authorizer make_authorizer(const directory&);

}  // namespace troupe::actors
