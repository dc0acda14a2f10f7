// The roles of people, and their order.
#pragma once

#include <string_view>

namespace troupe::actors {

namespace role {
// In an organization, the least first.
inline constexpr std::string_view viewer = "viewer";
inline constexpr std::string_view member = "member";
inline constexpr std::string_view admin = "admin";
inline constexpr std::string_view owner = "owner";
/// Outside organizations: anybody who may sign in. There `admin` is the administrator of the instance.
inline constexpr std::string_view user = "user";
/// Nobody but the program itself; see host_principal.
inline constexpr std::string_view host = "host";
}  // namespace role

/// The principal of the program that embeds the runtime. No login name can be this: `$` is outside their
/// grammar.
inline constexpr std::string_view host_principal = "$host";

/// 1 to 4 for viewer to owner, 0 for anything else.
constexpr int rank(std::string_view r) {
  return r == role::viewer ? 1 : r == role::member ? 2 : r == role::admin ? 3 : r == role::owner ? 4 : 0;
}

/// Whether one who has `have` may do what asks for `need`. An unknown `need` is beyond everybody.
constexpr bool at_least(std::string_view have, std::string_view need) {
  return rank(need) > 0 && rank(have) >= rank(need);
}

}  // namespace troupe::actors
