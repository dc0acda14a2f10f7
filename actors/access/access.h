// The actor `access`: users, hashes of tokens and browser sessions, sign-in links, instance roles, the index
// of memberships. One per instance, made by the program at its first start; coordinator of the organizations.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "actors/transition.h"
#include "runtime/kind.h"

namespace troupe::actors {

const kind& access();

/// States of a user.
std::span<const transition> user_transitions();

namespace access_limits {
inline constexpr std::int64_t users = 10'000;
inline constexpr std::int64_t tokens_per_user = 20;
/// One more signs the oldest out.
inline constexpr std::int64_t sessions_per_user = 10;
/// One more replaces the oldest.
inline constexpr std::int64_t links_per_user = 5;
inline constexpr std::chrono::minutes link_lifetime{10};
inline constexpr std::chrono::hours session_lifetime{30 * 24};
/// Users of one page of access.directory; with their credentials and memberships it stays under 10,000 rows.
inline constexpr int directory_page = 100;
inline constexpr int snapshot_users = 200;
inline constexpr int snapshot_organizations = 500;
}  // namespace access_limits

}  // namespace troupe::actors
