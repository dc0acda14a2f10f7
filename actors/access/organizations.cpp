#include "actors/access/access.h"
#include "actors/access/handlers.h"
#include "actors/body.h"
#include "actors/roles.h"

namespace troupe::actors::access_actor {

answer create_organization(turn& t, const json& body) {
  const auto organization = text_or(body, "organization", "");
  const auto owner = text_or(body, "owner", t.principal());
  if (auto why = require_active(t, owner)) return *why;
  if (t.one<int>("SELECT 1 FROM organizations WHERE organization = ?", organization)) {
    return conflict("exists", "an organization " + organization + " exists already; choose another name");
  }
  const key org("org/" + organization);
  t.run("INSERT INTO organizations (organization, created_at) VALUES (?, ?)", organization, t.now_ms());
  // At once, so that the owner need not wait for the organization to come back with it.
  t.run("INSERT OR REPLACE INTO memberships (user, organization, role) VALUES (?, ?, ?)", owner, organization,
        role::owner);
  directory_changed(t);
  t.create(org, "org.create",
           {{"display_name", text_or(body, "display_name", organization)}, {"owner", owner}});
  return json{{"organization", organization}, {"key", org.str()}};
}

answer apply_membership(turn& t, const json& body) {
  const auto organization = std::string(key(t.from().actor).id());
  const auto user = text_or(body, "user", "");
  if (const auto role = text_of(body, "role")) {
    t.run("INSERT OR REPLACE INTO memberships (user, organization, role) VALUES (?, ?, ?)", user,
          organization, *role);
  } else {
    t.run("DELETE FROM memberships WHERE user = ? AND organization = ?", user, organization);
  }
  directory_changed(t);
  return done();
}

}  // namespace troupe::actors::access_actor
