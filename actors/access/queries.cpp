#include "actors/access/access.h"
#include "actors/access/handlers.h"
#include "actors/body.h"
#include "actors/roles.h"

namespace troupe::actors::access_actor {
namespace {

json organizations_of(const view& v, const std::string& user) {
  auto all = json::object();
  v.each(
      "SELECT organization, role FROM memberships WHERE user = ?",
      [&](const storage::row& r) { all[r.get<std::string>(0)] = r.get<std::string>(1); }, user);
  return all;
}

// Columns: user, display_name, admin, state, created_at.
json user_of(const view& v, const storage::row& r) {
  const auto user = r.get<std::string>(0);
  return {
      {"user", user},
      {"display_name", r.get<std::string>(1)},
      {"admin", r.get<bool>(2)},
      {"state", r.get<std::string>(3)},
      {"created_at", r.get<std::int64_t>(4)},
      {"organizations", organizations_of(v, user)},
      {"tokens", v.one<std::int64_t>("SELECT count(*) FROM tokens WHERE user = ?", user).value_or(0)},
      {"sessions", v.one<std::int64_t>("SELECT count(*) FROM sessions WHERE user = ?", user).value_or(0)}};
}

json credentials(const view& v, std::string_view sql, const std::string& user) {
  auto all = json::array();
  v.each(
      sql,
      [&](const storage::row& r) {
        all.push_back({{"id", r.get<std::string>(0)},
                       {"label", r.get<std::string>(1)},
                       {"created_at", r.get<std::int64_t>(2)},
                       {"expires_at", or_null(r.get<std::optional<std::int64_t>>(3))}});
      },
      user);
  return all;
}

json hashes(const view& v, std::string_view sql, const std::string& user) {
  auto all = json::array();
  v.each(
      sql,
      [&](const storage::row& r) {
        all.push_back({{"id", r.get<std::string>(0)},
                       {"hash", r.get<std::string>(1)},
                       {"expires_at", or_null(r.get<std::optional<std::int64_t>>(2))}});
      },
      user);
  return all;
}

}  // namespace

answer list_users(const view& v, const json& body) {
  const auto limit = integer_of(body, "limit").value_or(100);
  auto users = json::array();
  json next = nullptr;
  v.each(
      "SELECT user, display_name, admin, state, created_at FROM users WHERE user > ?1"
      " AND (?2 = '' OR instr(lower(user || ' ' || display_name), lower(?2)) > 0) ORDER BY user LIMIT ?3",
      [&](const storage::row& r) {
        if (static_cast<std::int64_t>(users.size()) == limit) {
          next = users.back()["user"];
          return false;
        }
        users.push_back(user_of(v, r));
        return true;
      },
      text_or(body, "after", ""), text_or(body, "text", ""), limit + 1);
  return json{{"users", std::move(users)}, {"next", std::move(next)}};
}

answer list_credentials(const view& v, const json& body) {
  const auto user = text_or(body, "user", "");
  if (!v.one<int>("SELECT 1 FROM users WHERE user = ?", user))
    return not_found("no user " + user + " is known here");
  return json{
      {"tokens",
       credentials(
           v, "SELECT token, label, created_at, expires_at FROM tokens WHERE user = ? ORDER BY created_at",
           user)},
      {"sessions",
       credentials(
           v,
           "SELECT session, label, created_at, expires_at FROM sessions WHERE user = ? ORDER BY created_at",
           user)}};
}

answer directory_page(const view& v, const json& body) {
  auto users = json::array();
  json next = nullptr;
  v.each(
      "SELECT user, admin, state FROM users WHERE user > ? ORDER BY user LIMIT ?",
      [&](const storage::row& r) {
        if (users.size() == access_limits::directory_page) {
          next = users.back()["user"];
          return false;
        }
        const auto user = r.get<std::string>(0);
        users.push_back(
            {{"user", user},
             {"admin", r.get<bool>(1)},
             {"active", r.get<std::string>(2) == "active"},
             {"organizations", organizations_of(v, user)},
             {"tokens", hashes(v, "SELECT token, hash, expires_at FROM tokens WHERE user = ?", user)},
             {"sessions", hashes(v, "SELECT session, hash, expires_at FROM sessions WHERE user = ?", user)}});
        return true;
      },
      text_or(body, "after", ""), access_limits::directory_page + 1);
  return json{{"users", std::move(users)}, {"next", std::move(next)}};
}

json snapshot(const view& v) {
  auto users = json::array();
  v.each(
      "SELECT user, display_name, admin, state, created_at FROM users ORDER BY user LIMIT ?",
      [&](const storage::row& r) { users.push_back(user_of(v, r)); }, access_limits::snapshot_users);
  auto organizations = json::array();
  v.each(
      "SELECT organization, created_at, (SELECT count(*) FROM memberships m WHERE m.organization = "
      "o.organization)"
      " FROM organizations o ORDER BY organization LIMIT ?",
      [&](const storage::row& r) {
        organizations.push_back({{"organization", r.get<std::string>(0)},
                                 {"created_at", r.get<std::int64_t>(1)},
                                 {"members", r.get<std::int64_t>(2)}});
      },
      access_limits::snapshot_organizations);
  const auto audit = v.stream("audit");
  return {
      {"users", std::move(users)},
      {"user_count", v.one<std::int64_t>("SELECT count(*) FROM users").value_or(0)},
      {"admins",
       v.one<std::int64_t>("SELECT count(*) FROM users WHERE admin = 1 AND state = 'active'").value_or(0)},
      {"organizations", std::move(organizations)},
      {"organization_count", v.one<std::int64_t>("SELECT count(*) FROM organizations").value_or(0)},
      {"changes", v.one<std::int64_t>("SELECT count FROM directory_changes WHERE id = 1").value_or(0)},
      {"streams", {{"audit", {{"first", audit.first}, {"last", audit.last}}}}}};
}

}  // namespace troupe::actors::access_actor
