#include "actors/task/handlers.h"
#include "schemas/task.h"

namespace troupe::actors {

using namespace tasks;

const kind& task() {
  const auto member = from::client("member");
  static const kind k{
      .name = "task",
      .schema = schemas::task,
      .commands =
          {
              // lifecycle.cpp
              {"task.initialize", from::parent(), lane::interactive, initialize, "task.created", true},
              {"task.rename", member, lane::interactive, tasks::rename, "task.renamed"},
              {"task.set_owner", member, lane::interactive, set_owner, "task.owner_set"},
              {"task.assign", from::client("admin"), lane::interactive, assign, "task.owner_set"},
              {"task.archive", member, lane::interactive, archive, "task.archived"},
              {"task.unarchive", member, lane::interactive, unarchive, "task.unarchived"},
              {"task.kill", member, lane::interactive, tasks::kill, "task.killed"},
              {"task.retry", member, lane::interactive, retry, "task.retried"},
              {"task.delete", from::parent(), lane::interactive, leave, "task.deleted"},
              {"task.apply_session_deleted", from::reply(), lane::interactive, apply_session_deleted},
              // sessions.cpp
              {"task.create_session", member, lane::interactive, create_session},
              {"task.send_message", member, lane::interactive, send_message},
              {"task.remove_session", member, lane::interactive, remove_session, "task.session_removed"},
              {"task.apply_session_summary", from::child(), lane::interactive, apply_session_summary},
              {"task.apply_message_answer", from::reply(), lane::interactive, apply_message_answer},
              {"task.apply_slot", from::kind("capacity", 0), lane::interactive, apply_slot},
              {"task.apply_slot_answer", from::reply(), lane::interactive, apply_slot_answer},
              {"task.renew_slots", from::self(), lane::interactive, renew_slots},
              // sandboxes.cpp
              {"task.apply_sandbox_state", from::kind("sandbox"), lane::interactive, apply_sandbox_state},
              {"task.apply_sandbox_answer", from::reply(), lane::interactive, apply_sandbox_answer},
              // provisioning.cpp
              {"task.apply_step", from::effect(), lane::interactive, apply_step},
              // work.cpp
              {"task.refresh_diff", member, lane::interactive, refresh_diff},
              {"task.commit", member, lane::interactive, commit, "task.committed"},
              {"task.apply_diff", from::effect(), lane::interactive, apply_diff},
              {"task.apply_saved", from::effect(), lane::interactive, apply_saved},
              {"task.apply_commit", from::effect(), lane::interactive, apply_commit},
              // budget.cpp
              {"task.set_budget", from::client("admin"), lane::interactive, set_budget, "task.budget_set"},
              {"task.apply_budget", from::parent(), lane::interactive, apply_budget},
              // push.cpp
              {"task.push", member, lane::interactive, push, "task.push_asked"},
              {"task.apply_push", from::effect(), lane::interactive, apply_push},
              // update.cpp
              {"task.update_from_base", member, lane::interactive, update_from_base, "task.update_asked"},
              {"task.apply_base", from::effect(), lane::interactive, apply_base},
              {"task.apply_update", from::effect(), lane::interactive, apply_update},
              {"task.abort_update", member, lane::interactive, abort_update, "task.update_aborted"},
              {"task.apply_update_aborted", from::effect(), lane::interactive, apply_update_aborted},
          },
      .queries = {{"task.diff", "viewer", diff}, {"task.step_log", "viewer", step_log}},
      .snapshot = snapshot,
  };
  return k;
}

}  // namespace troupe::actors
