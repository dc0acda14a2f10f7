#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"
#include "actors/roles.h"

namespace troupe::actors::organization_actor {
namespace {

problem no_member(const std::string& user) {
  return not_found("there is no member " + user + " in this organization");
}

// Only an owner makes, changes or removes an owner.
std::optional<problem> may_touch(const turn& t, std::string_view role) {
  if (role != role::owner || role_of(t, t.principal()) == role::owner) return std::nullopt;
  return forbidden("only an owner of the organization gives or takes the role owner");
}

// An organization without an owner could not be managed from inside.
std::optional<problem> keeps_an_owner(const view& v, const std::string& user) {
  if (role_of(v, user) != role::owner) return std::nullopt;
  if (v.one<std::int64_t>("SELECT count(*) FROM members WHERE role = 'owner'").value_or(0) > 1)
    return std::nullopt;
  return conflict("last_owner", user + " is the last owner of this organization; make another one first");
}

void push(turn& t, const std::string& user, const json& role) {
  static const key access("access");
  t.send(access, "access.apply_membership", {{"user", user}, {"role", role}});
}

}  // namespace

std::string role_of(const view& v, std::string_view user) {
  return v.one<std::string>("SELECT role FROM members WHERE user = ?", user).value_or("");
}

answer add_member(turn& t, const json& body) {
  const auto user = text_or(body, "user", "");
  const auto role = text_or(body, "role", "");
  if (auto why = may_touch(t, role)) return *why;
  if (!role_of(t, user).empty())
    return conflict("exists", user + " is a member already; `org.set_member_role` changes the role");
  if (t.one<std::int64_t>("SELECT count(*) FROM members").value_or(0) >= organization_limits::members) {
    return conflict("too_many_members", "the organization has " +
                                            std::to_string(organization_limits::members) +
                                            " members, the most it takes; remove one first");
  }
  t.run("INSERT INTO members (user, role, added_by, added_at) VALUES (?, ?, ?, ?)", user, role, t.principal(),
        t.now_ms());
  push(t, user, role);
  return done();
}

answer set_member_role(turn& t, const json& body) {
  const auto user = text_or(body, "user", "");
  const auto role = text_or(body, "role", "");
  const auto before = role_of(t, user);
  if (before.empty()) return no_member(user);
  if (auto why = may_touch(t, role)) return *why;
  if (auto why = may_touch(t, before)) return *why;
  if (role != role::owner) {
    if (auto why = keeps_an_owner(t, user)) return *why;
  }
  t.run("UPDATE members SET role = ? WHERE user = ?", role, user);
  push(t, user, role);
  return done();
}

answer remove_member(turn& t, const json& body) {
  const auto user = text_or(body, "user", "");
  const auto before = role_of(t, user);
  if (before.empty()) return no_member(user);
  if (auto why = may_touch(t, before)) return *why;
  if (auto why = keeps_an_owner(t, user)) return *why;
  t.run("DELETE FROM members WHERE user = ?", user);
  push(t, user, nullptr);
  return done();
}

}  // namespace troupe::actors::organization_actor
