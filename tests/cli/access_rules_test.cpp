// Everything that can be asked for has a rule, and the rule keeps strangers out.
#include <set>

#include <doctest/doctest.h>

#include "actors/access/directory.h"
#include "actors/roles.h"
#include "cli/kinds.h"
#include "runtime/host.h"

namespace troupe::cli {

namespace {

const std::set<std::string_view> all_roles{
    "viewer", "member", "admin", "owner", actors::role::user, actors::role::admin, actors::role::host};

key key_of_kind(const kind& k) {
  return key(k.singleton ? std::string(k.name) : "org/acme/" + std::string(k.name) + "/one");
}

}  // namespace

TEST_CASE("every command, query, stream and snapshot names who may, and a stranger may none of them") {
  actors::directory nobody(system_clock());
  const auto authorize = actors::make_authorizer(nobody);
  std::size_t asked = 0;
  const auto closed = [&](const kind& k, std::string_view what, std::string_view role) {
    INFO(k.name, " ", what, " ", role);
    CHECK(all_roles.contains(role));
    CHECK(authorize("stranger", key_of_kind(k), role) != verdict::allow);
    CHECK(authorize("", key_of_kind(k), role) != verdict::allow);
    ++asked;
  };
  for (const auto* k : kinds_of_troupe()) {
    for (const auto& row : k->commands) {
      INFO(row.name);
      CHECK_FALSE(row.sender.text().empty());
      if (!row.sender.role().empty()) closed(*k, row.name, row.sender.role());
    }
    for (const auto& row : k->queries) closed(*k, row.name, row.role);
    for (const auto& row : k->streams) closed(*k, row.name, row.role);
    if (k->snapshot) closed(*k, "snapshot", k->snapshot_role);
  }
  CHECK(asked > 80);
}

}  // namespace troupe::cli
