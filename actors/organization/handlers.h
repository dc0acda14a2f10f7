// The handlers behind the table in organization.cpp, by theme.
#pragma once

#include "runtime/turn.h"

namespace troupe::actors::organization_actor {

// settings.cpp
answer create(turn&, const json&);
answer update_settings(turn&, const json&);
answer apply_disk(turn&, const json&);
/// Beyond their schema: names that stand twice.
std::optional<problem> fault_of_mcp_servers(const json&);

// members.cpp
answer add_member(turn&, const json&);
answer set_member_role(turn&, const json&);
answer remove_member(turn&, const json&);

// repositories.cpp
answer add_repository(turn&, const json&);
answer update_repository(turn&, const json&);
answer check_repository(turn&, const json&);
answer apply_probe(turn&, const json&);
answer remove_repository(turn&, const json&);

// create_task.cpp
answer create_task(turn&, const json&);
answer import_tasks(turn&, const json&);
answer materialize_task(turn&, const json&);

// tasks.cpp
answer delete_task(turn&, const json&);
answer apply_task_summary(turn&, const json&);
answer apply_task_deletion(turn&, const json&);
answer apply_task_removed(turn&, const json&);

// budgets.cpp
answer set_budget(turn&, const json&);
/// What a task says that it used; tells tasks that may run nothing more, or may again.
void apply_usage(turn&, const std::string& task, const json& summary);
void forget_usage(turn&, const std::string& task);
json usage(const view&);
json budgets(const view&);

// webhook.cpp
answer set_webhook(turn&, const json&);
answer apply_webhook(turn&, const json&);
/// Of a task's summary, when its status was `before`.
void notify(turn&, const std::string& before, const json& summary);
json webhook(const view&);

// sandboxes.cpp
answer create_sandbox(turn&, const json&);
answer release_sandbox(turn&, const json&);
answer apply_sandbox_state(turn&, const json&);

// queries.cpp, and preview_task in create_task.cpp
answer preview_task(const view&, const json&);
answer list_tasks(const view&, const json&);
answer get_task(const view&, const json&);
answer get_repository(const view&, const json&);

// snapshot.cpp
json snapshot(const view&);

// Shared by the files above.

/// The role of a member; empty for anybody else.
std::string role_of(const view&, std::string_view user);
problem no_repository(std::string_view repository);
problem no_task(std::string_view task);
/// A row of the columns below as the summary of the contract.
json summary_of(const storage::row&);
#define TROUPE_SUMMARY_COLUMNS                                                                           \
  "s.task, s.title, t.branch, s.repository, s.status, s.position, s.step, s.sandbox_state, s.sessions, " \
  "s.files,"                                                                                             \
  " s.additions, s.deletions, s.owner, s.error, t.deleting, t.made, t.created_by, s.created_at, "        \
  "s.updated_at"

}  // namespace troupe::actors::organization_actor
