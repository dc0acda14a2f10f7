#include "actors/access/access.h"

#include "actors/access/handlers.h"
#include "actors/roles.h"
#include "schemas/access.h"

namespace troupe::actors {

using namespace access_actor;

const kind& access() {
  using enum lane;
  static const auto admin = from::client(role::admin);
  static const auto user = from::client(role::user);
  static const auto program = from::host();
  static const kind k{
      .name = "access",
      .singleton = true,
      .schema = schemas::access,
      .commands =
          {
              {"access.initialize", program, interactive, initialize, "", true},
              {"access.create_user", admin | program, interactive, create_user, "user.created"},
              {"access.update_user", admin, interactive, update_user, "user.changed"},
              {"access.disable_user", admin, interactive, disable_user, "user.disabled"},
              {"access.enable_user", admin, interactive, enable_user, "user.enabled"},
              {"access.remove_user", admin, interactive, remove_user, "user.removed"},
              {"access.create_token", user | program, interactive, create_token, "token.created"},
              {"access.revoke_token", user | program, interactive, revoke_token, "token.revoked"},
              {"access.create_link", user | program, interactive, create_link, "link.created"},
              {"access.redeem_link", program, interactive, redeem_link, "session.started"},
              {"access.end_session", user | program, interactive, end_session, "session.ended"},
              {"access.end_sessions", user | program, interactive, end_sessions, "session.ended"},
              {"access.create_organization", admin | program, interactive, create_organization,
               "organization.created"},
              {"access.apply_membership", from::kind("org", 0), background, apply_membership},
              {"access.expire", from::self(), background, expire},
          },
      .queries =
          {
              {"access.list_users", role::admin, list_users},
              {"access.list_credentials", role::admin, list_credentials},
              {"access.directory", role::host, directory_page},
          },
      .snapshot = snapshot,
      .snapshot_role = role::admin,
      .streams = {{"audit", role::admin, 10'000}},
      .secret_columns = {"tokens.hash", "sessions.hash", "links.hash"},
  };
  return k;
}

std::span<const transition> user_transitions() {
  static constexpr transition table[] = {
      {"none", "access.create_user", "active"},
      {"active", "access.disable_user", "disabled"},
      {"disabled", "access.enable_user", "active"},
      {"disabled", "access.remove_user", "none"},
  };
  return table;
}

}  // namespace troupe::actors
