#include <set>

#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"
#include "actors/roles.h"

namespace troupe::actors::organization_actor {
namespace {

const key& access_key() {
  static const key k("access");
  return k;
}

const key& capacity_key() {
  static const key k("capacity");
  return k;
}

}  // namespace

answer create(turn& t, const json& body) {
  if (t.one<int>("SELECT 1 FROM settings WHERE id = 1")) {
    return conflict("exists", "organization " + std::string(t.self().id()) + " exists already");
  }
  const auto owner = text_or(body, "owner", "");
  t.run(
      "INSERT INTO settings (id, display_name, default_agent, default_provider, branch_prefix, requirements, "
      "created_at)"
      " VALUES (1, ?, 'scripted', 'local', 'troupe/', '{}', ?)",
      text_or(body, "display_name", t.self().id()), t.now_ms());
  t.run("INSERT INTO members (user, role, added_by, added_at) VALUES (?, 'owner', ?, ?)", owner, owner,
        t.now_ms());
  // Before anything of this organization is audited: messages of one pair stay in order.
  t.create(t.self().child("audit-log"), "audit.initialize", json::object());
  t.send(access_key(), "access.apply_membership", {{"user", owner}, {"role", role::owner}});
  t.send(capacity_key(), "capacity.set_share", {{"max_running", nullptr}});
  return done();
}

std::optional<problem> fault_of_mcp_servers(const json& servers) {
  std::set<std::string> names;
  for (const auto& one : servers)
    if (!names.insert(text_or(one, "name", "")).second)
      return unprocessable("duplicate_mcp_server",
                           "two MCP servers have the name " + text_or(one, "name", ""));
  return std::nullopt;
}

answer update_settings(turn& t, const json& body) {
  if (const auto v = text_of(body, "display_name")) t.run("UPDATE settings SET display_name = ?", *v);
  if (const auto v = text_of(body, "default_agent")) t.run("UPDATE settings SET default_agent = ?", *v);
  if (body.contains("default_model"))
    t.run("UPDATE settings SET default_model = ?", text_of(body, "default_model"));
  if (body.contains("default_mode"))
    t.run("UPDATE settings SET default_mode = ?", text_of(body, "default_mode"));
  if (const auto v = text_of(body, "default_provider")) t.run("UPDATE settings SET default_provider = ?", *v);
  if (const auto v = text_of(body, "branch_prefix")) t.run("UPDATE settings SET branch_prefix = ?", *v);
  if (const auto v = json_of(body, "requirements")) t.run("UPDATE settings SET requirements = ?", *v);
  if (const auto v = json_of(body, "mcp_servers")) {
    if (auto why = fault_of_mcp_servers(body["mcp_servers"])) return *why;
    t.run("UPDATE settings SET mcp_servers = ?", *v);
  }
  if (body.contains("max_running")) {
    const auto share = integer_of(body, "max_running");
    t.run("UPDATE settings SET max_running = ?", share);
    t.send(capacity_key(), "capacity.set_share", {{"max_running", or_null(share)}});
  }
  return done();
}

answer apply_disk(turn& t, const json& body) {
  t.run("INSERT OR REPLACE INTO disk (id, low, free_bytes, total_bytes) VALUES (1, ?, ?, ?)",
        flag_of(body, "low"), *integer_of(body, "free_bytes"), *integer_of(body, "total_bytes"));
  return done();
}

}  // namespace troupe::actors::organization_actor
