#include "actors/task/record.h"

#include "actors/text.h"

namespace troupe::actors::tasks {
namespace {

session_row read_session(const auto& row) {
  session_row s;
  int c = 0;
  const auto text = [&] { return row.template get<std::string>(c++); };
  const auto number = [&] { return row.template get<std::int64_t>(c++); };
  s.id = text(), s.summary = json::parse(text()), s.status = text();
  s.ask = number(), s.demand = number() != 0, s.turns = number();
  s.slot = text(), s.position = number(), s.slot_asked_at = number(), s.told = text();
  s.created_at = number(), s.used_at = number();
  return s;
}

}  // namespace

bool made(const view& v) {
  return v.one<int>("SELECT 1 FROM task").has_value();
}

record load(const view& v) {
  record r;
  v.each(
      "SELECT "
      "status, error, title, branch, description, existing_branch, repository, owner, agent, model, mode, "
      "provider, requirements, created_by, created_at, updated_at, sandbox, sandbox_state, handle, tier, "
      "items, creation, generation, prepared, step, effect, mirror, base_branch, base, head, work_effect, "
      "work_again, work_error, additions, deletions, files, dirty, diff_at, bundle, bundle_commit, "
      "bundle_bytes, bundle_at, summary, pushed, merge, budget, held, mcp_servers, taken"
      " FROM task",
      [&](const auto& row) {
        int c = 0;
        const auto text = [&] { return row.template get<std::string>(c++); };
        const auto number = [&] { return row.template get<std::int64_t>(c++); };
        const auto parsed = [&] { return json::parse(text()); };
        r.status = text(), r.error = text(), r.title = text(), r.branch = text(), r.description = text(),
        r.existing_branch = number() != 0, r.repository = parsed(), r.owner = text(), r.agent = text(),
        r.model = text(), r.mode = text(), r.provider = text(), r.requirements = parsed(),
        r.created_by = text(), r.created_at = number(), r.updated_at = number(), r.sandbox = text(),
        r.sandbox_state = text(), r.handle = text(), r.tier = text(), r.items = parsed(),
        r.creation = number(), r.generation = number(), r.prepared = number(), r.step = text(),
        r.effect = text(), r.mirror = text(), r.base_branch = text(), r.base = text(), r.head = text(),
        r.work_effect = text(), r.work_again = number() != 0, r.work_error = text(), r.additions = number(),
        r.deletions = number(), r.files = number(), r.dirty = number() != 0, r.diff_at = number(),
        r.bundle = text(), r.bundle_commit = text(), r.bundle_bytes = number(), r.bundle_at = number(),
        r.summary = text(), r.pushed = parsed(), r.merge = parsed(), r.budget = parsed(), r.held = text(),
        r.mcp_servers = parsed(), r.taken = number() != 0;
      });
  r.loaded = static_cast<const fields&>(r);
  return r;
}

void save(turn& t, record& r) {
  r.error = clip(r.error, max_error);
  r.work_error = clip(r.work_error, max_error);
  if (r.loaded && static_cast<const fields&>(r) == *r.loaded) return;
  r.updated_at = t.now_ms();
  t.run(
      "INSERT INTO task (id, "
      "status, error, title, branch, description, existing_branch, repository, owner, agent, model, mode, "
      "provider, requirements, created_by, created_at, updated_at, sandbox, sandbox_state, handle, tier, "
      "items, creation, generation, prepared, step, effect, mirror, base_branch, base, head, work_effect, "
      "work_again, work_error, additions, deletions, files, dirty, diff_at, bundle, bundle_commit, "
      "bundle_bytes, bundle_at, summary, pushed, merge, budget, held, mcp_servers, taken"
      ") VALUES (1, "
      "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
      ") ON CONFLICT (id) DO UPDATE SET "
      "status = excluded.status, error = excluded.error, title = excluded.title, "
      "branch = excluded.branch, description = excluded.description, "
      "existing_branch = excluded.existing_branch, repository = excluded.repository, "
      "owner = excluded.owner, agent = excluded.agent, model = excluded.model, mode = excluded.mode, "
      "provider = excluded.provider, requirements = excluded.requirements, "
      "created_by = excluded.created_by, created_at = excluded.created_at, "
      "updated_at = excluded.updated_at, sandbox = excluded.sandbox, "
      "sandbox_state = excluded.sandbox_state, handle = excluded.handle, tier = excluded.tier, "
      "items = excluded.items, creation = excluded.creation, generation = excluded.generation, "
      "prepared = excluded.prepared, step = excluded.step, effect = excluded.effect, "
      "mirror = excluded.mirror, base_branch = excluded.base_branch, base = excluded.base, "
      "head = excluded.head, work_effect = excluded.work_effect, work_again = excluded.work_again, "
      "work_error = excluded.work_error, additions = excluded.additions, "
      "deletions = excluded.deletions, files = excluded.files, dirty = excluded.dirty, "
      "diff_at = excluded.diff_at, bundle = excluded.bundle, bundle_commit = excluded.bundle_commit, "
      "bundle_bytes = excluded.bundle_bytes, bundle_at = excluded.bundle_at, "
      "summary = excluded.summary, pushed = excluded.pushed, merge = excluded.merge, budget = "
      "excluded.budget, "
      "held = excluded.held, mcp_servers = excluded.mcp_servers, taken = excluded.taken",
      r.status, r.error, r.title, r.branch, r.description, r.existing_branch, r.repository.dump(), r.owner,
      r.agent, r.model, r.mode, r.provider, r.requirements.dump(), r.created_by, r.created_at, r.updated_at,
      r.sandbox, r.sandbox_state, r.handle, r.tier, r.items.dump(), r.creation, r.generation, r.prepared,
      r.step, r.effect, r.mirror, r.base_branch, r.base, r.head, r.work_effect, r.work_again, r.work_error,
      r.additions, r.deletions, r.files, r.dirty, r.diff_at, r.bundle, r.bundle_commit, r.bundle_bytes,
      r.bundle_at, r.summary, r.pushed.dump(), r.merge.dump(), r.budget.dump(), r.held, r.mcp_servers.dump(),
      r.taken);
  r.loaded = static_cast<const fields&>(r);
}

std::vector<session_row> sessions(const view& v) {
  std::vector<session_row> all;
  v.each(
      "SELECT id, summary, status, ask, demand, turns, slot, position, slot_asked_at, told, created_at, "
      "used_at "
      "FROM session ORDER BY created_at, id",
      [&](const auto& row) { all.push_back(read_session(row)); });
  return all;
}

std::optional<session_row> find_session(const view& v, const std::string& id) {
  std::optional<session_row> found;
  v.each(
      "SELECT id, summary, status, ask, demand, turns, slot, position, slot_asked_at, told, created_at, "
      "used_at "
      "FROM session WHERE id = ?",
      [&](const auto& row) { found = read_session(row); }, id);
  return found;
}

void save_session(turn& t, const session_row& s) {
  t.run(
      "INSERT OR REPLACE INTO session (id, summary, status, ask, demand, turns, slot, position, "
      "slot_asked_at, told, "
      "created_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      s.id, s.summary.dump(), s.status, s.ask, s.demand, s.turns, s.slot, s.position, s.slot_asked_at, s.told,
      s.created_at, s.used_at);
}

key session_key(const view& v, const std::string& id) {
  return v.self().child("session", id);
}
key sandbox_key(const view& v, const std::string& id) {
  return organization(v).child("sandbox", id);
}
key organization(const view& v) {
  return *v.self().parent();
}

}  // namespace troupe::actors::tasks
