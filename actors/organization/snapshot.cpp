#include "actors/body.h"
#include "actors/organization/handlers.h"
#include "actors/organization/organization.h"

namespace troupe::actors::organization_actor {
namespace {

json members(const view& v) {
  auto all = json::array();
  v.each(
      "SELECT user, role, added_at FROM members ORDER BY user LIMIT ?",
      [&](const storage::row& r) {
        all.push_back({{"user", r.get<std::string>(0)},
                       {"role", r.get<std::string>(1)},
                       {"added_at", r.get<std::int64_t>(2)}});
      },
      organization_limits::members);
  return all;
}

// Without environment and setup command, which only their page needs: org.get_repository.
json repositories(const view& v) {
  auto all = json::array();
  v.each(
      "SELECT repository, url, state, default_branch, empty, error, base_branch, network, checked_at,"
      " (SELECT count(*) FROM tasks t WHERE t.repository = r.repository) FROM repositories r ORDER BY "
      "repository LIMIT ?",
      [&](const storage::row& r) {
        all.push_back({{"repository", r.get<std::string>(0)},
                       {"url", r.get<std::string>(1)},
                       {"state", r.get<std::string>(2)},
                       {"default_branch", or_null(r.get<std::optional<std::string>>(3))},
                       {"empty", r.get<bool>(4)},
                       {"error", parsed(r.get<std::optional<std::string>>(5))},
                       {"base_branch", or_null(r.get<std::optional<std::string>>(6))},
                       {"network", parsed(r.get<std::optional<std::string>>(7))},
                       {"checked_at", or_null(r.get<std::optional<std::int64_t>>(8))},
                       {"tasks", r.get<std::int64_t>(9)}});
      },
      organization_limits::repositories);
  return all;
}

json sandboxes(const view& v) {
  auto recent = json::array();
  v.each(
      "SELECT sandbox, holder, state, tier, updated_at FROM sandboxes ORDER BY updated_at DESC, sandbox "
      "LIMIT ?",
      [&](const storage::row& r) {
        recent.push_back({{"sandbox", r.get<std::string>(0)},
                          {"holder", or_null(r.get<std::optional<std::string>>(1))},
                          {"state", r.get<std::string>(2)},
                          {"tier", or_null(r.get<std::optional<std::string>>(3))},
                          {"updated_at", r.get<std::int64_t>(4)}});
      },
      organization_limits::snapshot_sandboxes);
  auto by_state = json::object();
  std::int64_t count = 0;
  v.each("SELECT state, count(*) FROM sandboxes GROUP BY state LIMIT 32", [&](const storage::row& r) {
    by_state[r.get<std::string>(0)] = r.get<std::int64_t>(1);
    count += r.get<std::int64_t>(1);
  });
  return {{"count", count}, {"by_state", std::move(by_state)}, {"recent", std::move(recent)}};
}

json warnings(const view& v) {
  auto all = json::array();
  v.each("SELECT free_bytes, total_bytes FROM disk WHERE low = 1", [&](const storage::row& r) {
    constexpr std::int64_t mega = 1'000'000;
    all.push_back(
        {{"code", "disk_low"},
         {"detail", "the server's disk has " + std::to_string(r.get<std::int64_t>(0) / mega) + " MB of " +
                        std::to_string(r.get<std::int64_t>(1) / mega) +
                        " MB free: no new sandbox is made until there is more; what runs may finish"}});
  });
  return all;
}

}  // namespace

json snapshot(const view& v) {
  json all = json::object();
  v.each(
      "SELECT display_name, default_agent, default_model, default_mode, default_provider, branch_prefix, "
      "max_running,"
      " requirements, created_at, mcp_servers FROM settings",
      [&](const storage::row& r) {
        all["display_name"] = r.get<std::string>(0);
        all["created_at"] = r.get<std::int64_t>(8);
        all["settings"] = {{"default_agent", r.get<std::string>(1)},
                           {"default_model", or_null(r.get<std::optional<std::string>>(2))},
                           {"default_mode", or_null(r.get<std::optional<std::string>>(3))},
                           {"default_provider", r.get<std::string>(4)},
                           {"branch_prefix", r.get<std::string>(5)},
                           {"max_running", or_null(r.get<std::optional<std::int64_t>>(6))},
                           {"requirements", json::parse(r.get<std::string>(7))},
                           {"mcp_servers", json::parse(r.get<std::string>(9))}};
      });
  auto tasks = json::array();
  v.each(
      "SELECT " TROUPE_SUMMARY_COLUMNS
      " FROM summaries s JOIN tasks t USING (task) ORDER BY s.updated_at DESC, s.task DESC LIMIT ?",
      [&](const storage::row& r) { tasks.push_back(summary_of(r)); }, organization_limits::snapshot_tasks);
  auto counts = json::object();
  std::int64_t total = 0;
  v.each("SELECT status, tasks FROM counts WHERE tasks > 0", [&](const storage::row& r) {
    counts[r.get<std::string>(0)] = r.get<std::int64_t>(1);
    total += r.get<std::int64_t>(1);
  });
  all["members"] = members(v);
  all["repositories"] = repositories(v);
  all["counts"] = std::move(counts);
  all["tasks"] = std::move(tasks);
  all["task_count"] = total;
  all["sandboxes"] = sandboxes(v);
  all["warnings"] = warnings(v);
  all["usage"] = usage(v);
  all["budgets"] = budgets(v);
  all["webhook"] = webhook(v);
  return all;
}

}  // namespace troupe::actors::organization_actor
