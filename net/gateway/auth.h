// Who is asking: the interface through which the gateway knows people. The program wires it to whatever keeps
// them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/problem.h"

namespace troupe::gateway {

/// Somebody who may use the server, as of now.
struct principal {
  std::string user;
  /// Administrator of the instance.
  bool admin = false;
  /// May do everything everywhere (--no-auth).
  bool everything = false;
  /// Organization → viewer, member, admin or owner.
  std::map<std::string, std::string, std::less<>> roles = {};

  /// Whether its role in `organization` is at least `role`.
  bool may(std::string_view organization, std::string_view role) const;
  bool operator==(const principal&) const = default;
};

/// A principal and how it proved itself.
struct identified {
  principal who;
  /// Names the token or browser session, so that a connection that stays open can ask again. Not the secret
  /// itself.
  std::string handle;
};

struct signed_in {
  /// The value of the cookie that the browser gets.
  std::string cookie;
  int max_age_seconds = 0;
};

/// A browser session or a token, without its secret.
struct credential {
  std::string id;
  std::string user;
  std::string label;
  /// Milliseconds since 1970.
  std::int64_t created_at = 0;
  std::int64_t expires_at = 0;  ///< 0: never
};

struct credentials {
  std::vector<credential> sessions;
  std::vector<credential> tokens;
};

/// Thread-safe. Outlives the gateway. What is not said to be asynchronous answers from memory and never
/// blocks.
class authenticator {
 public:
  virtual ~authenticator() = default;

  /// Nothing when the token is unknown, revoked or expired, or its user disabled.
  virtual std::optional<identified> by_token(std::string_view token) const = 0;
  /// The same for the cookie of a browser session.
  virtual std::optional<identified> by_cookie(std::string_view cookie) const = 0;
  /// Who asks without any proof; nothing means that a proof is needed.
  virtual std::optional<identified> anonymous() const { return std::nullopt; }
  /// How the one behind a handle stands now; nothing once it is revoked, expired or disabled.
  virtual std::optional<principal> again(const std::string& handle) const = 0;

  using on_signed_in = std::function<void(std::variant<signed_in, problem>)>;
  /// Turns the word of a sign-in link into a browser session. `label` says from where (a browser's name). The
  /// callback comes once, on any thread.
  virtual void sign_in(std::string word, std::string label, on_signed_in) = 0;
  using on_done = std::function<void(std::optional<problem>)>;
  virtual void sign_out(const std::string& handle, on_done) = 0;

  /// With what a user may come.
  using on_credentials = std::function<void(std::variant<credentials, problem>)>;
  virtual void list(const std::string& user, on_credentials) = 0;

  /// `f` is called on any thread after anything that again() answers may have changed, at most 1 s later; it
  /// returns at once. It stays registered for as long as the authenticator lives.
  virtual void on_change(std::function<void()> f) = 0;
};

/// Everybody is `user`, who may do everything. The program allows it on loopback only.
std::unique_ptr<authenticator> no_authentication(std::string user = "local");

/// viewer < member < admin < owner; 0 for what is no role.
int rank_of(std::string_view role);

}  // namespace troupe::gateway
