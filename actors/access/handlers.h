// The handlers behind the table in access.cpp, by theme.
#pragma once

#include "runtime/turn.h"

namespace troupe::actors::access_actor {

// users.cpp
answer initialize(turn&, const json&);
answer create_user(turn&, const json&);
answer update_user(turn&, const json&);
answer disable_user(turn&, const json&);
answer enable_user(turn&, const json&);
answer remove_user(turn&, const json&);

// credentials.cpp
answer create_token(turn&, const json&);
answer revoke_token(turn&, const json&);
answer end_session(turn&, const json&);
answer end_sessions(turn&, const json&);
answer expire(turn&, const json&);

// links.cpp
answer create_link(turn&, const json&);
answer redeem_link(turn&, const json&);

// organizations.cpp
answer create_organization(turn&, const json&);
answer apply_membership(turn&, const json&);

// queries.cpp
answer list_users(const view&, const json&);
answer list_credentials(const view&, const json&);
answer directory_page(const view&, const json&);
json snapshot(const view&);

// Shared by the files above.

/// What decides who is who has changed: the directory reads again.
void directory_changed(turn&);
/// Sets the alarm at the next end of a link, session or token.
void arm_expiry(turn&);
/// Whether the sender may act for `user`: the user himself, an administrator of the instance or the program.
bool may_act_for(const turn&, std::string_view user);
/// Nothing for an active user, else the problem why nothing can be made for `user`.
std::optional<problem> require_active(const view&, const std::string& user);

}  // namespace troupe::actors::access_actor
