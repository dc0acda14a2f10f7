#include "actors/organization/organization.h"

#include "actors/organization/handlers.h"
#include "actors/roles.h"
#include "schemas/organization.h"

namespace troupe::actors {

using namespace organization_actor;

const kind& organization() {
  using enum lane;
  static const auto viewer = from::client(role::viewer);
  static const auto member = from::client(role::member);
  static const auto admin = from::client(role::admin);
  static const auto child = from::child();
  static const kind k{
      .name = "org",
      .schema = schemas::organization,
      .commands =
          {
              {"org.create", from::kind("access", 0), interactive, create, "organization.created", true},
              {"org.update_settings", admin, interactive, update_settings, "organization.settings_changed"},
              {"org.add_member", admin, interactive, add_member, "member.added"},
              {"org.set_member_role", admin, interactive, set_member_role, "member.role_changed"},
              {"org.remove_member", admin, interactive, remove_member, "member.removed"},
              {"org.add_repository", admin, interactive, add_repository, "repository.added"},
              {"org.update_repository", admin, interactive, update_repository, "repository.changed"},
              {"org.check_repository", member, interactive, check_repository},
              {"org.apply_probe", from::effect(), background, apply_probe},
              {"org.remove_repository", admin, interactive, remove_repository, "repository.removed"},
              {"org.create_task", member, interactive, create_task},
              {"org.import_tasks", member, interactive, import_tasks, "task.imported"},
              {"org.materialize_task", viewer | from::host(), interactive, materialize_task},
              {"org.delete_task", member, interactive, delete_task, "task.deletion_asked"},
              {"org.apply_task_summary", child, background, apply_task_summary},
              {"org.apply_task_deletion", from::reply(), background, apply_task_deletion},
              {"org.apply_task_removed", child, background, apply_task_removed},
              {"org.set_budget", admin, interactive, set_budget, "organization.budget_set"},
              {"org.set_webhook", admin, interactive, set_webhook, "organization.webhook_set"},
              {"org.apply_webhook", from::effect(), background, apply_webhook},
              {"org.create_sandbox", child, background, create_sandbox},
              {"org.release_sandbox", child, background, release_sandbox},
              {"org.apply_sandbox_state", child, background, apply_sandbox_state},
              {"org.apply_disk", from::kind("capacity", 0), background, apply_disk},
          },
      .queries =
          {
              {"org.list_tasks", role::viewer, list_tasks},
              {"org.get_task", role::viewer, get_task},
              {"org.get_repository", role::viewer, get_repository},
              {"org.preview_task", role::member, preview_task},
          },
      .snapshot = snapshot,
  };
  return k;
}

std::span<const transition> repository_transitions() {
  static constexpr transition table[] = {
      {"none", "org.add_repository", "checking"},      {"checking", "org.apply_probe: ok", "ready"},
      {"checking", "org.apply_probe: error", "error"}, {"ready", "org.check_repository", "checking"},
      {"error", "org.check_repository", "checking"},   {"ready", "org.update_repository", "checking"},
      {"error", "org.update_repository", "checking"},  {"checking", "org.update_repository", "checking"},
      {"checking", "org.remove_repository", "none"},   {"ready", "org.remove_repository", "none"},
      {"error", "org.remove_repository", "none"},
  };
  return table;
}

std::span<const transition> task_index_transitions() {
  static constexpr transition table[] = {
      {"none", "org.create_task", "made"},
      {"none", "org.import_tasks", "listed"},
      {"listed", "org.materialize_task", "made"},
      {"listed", "org.delete_task", "none"},
      {"made", "org.delete_task", "deleting"},
      {"deleting", "org.apply_task_deletion: error", "made"},
      {"deleting", "org.apply_task_removed", "none"},
  };
  return table;
}

}  // namespace troupe::actors
