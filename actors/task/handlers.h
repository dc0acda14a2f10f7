// The handlers of kind `task`; each is described by its row in docs/domain.md.
#pragma once

#include "actors/task/record.h"
#include "actors/task/task.h"
#include "runtime/turn.h"

namespace troupe::actors::tasks {

// lifecycle.cpp
answer initialize(turn&, const json&);
answer rename(turn&, const json&);
answer set_owner(turn&, const json&);
answer assign(turn&, const json&);
answer archive(turn&, const json&);
answer unarchive(turn&, const json&);
answer kill(turn&, const json&);
answer retry(turn&, const json&);
answer leave(turn&, const json&);
answer apply_session_deleted(turn&, const json&);

// sessions.cpp
answer create_session(turn&, const json&);
answer send_message(turn&, const json&);
answer remove_session(turn&, const json&);
answer apply_session_summary(turn&, const json&);
answer apply_message_answer(turn&, const json&);
answer apply_slot(turn&, const json&);
answer apply_slot_answer(turn&, const json&);
answer renew_slots(turn&, const json&);

// sandboxes.cpp
answer apply_sandbox_state(turn&, const json&);
answer apply_sandbox_answer(turn&, const json&);

// provisioning.cpp
answer apply_step(turn&, const json&);
void sandbox_is_up(turn&, record&);

// work.cpp
answer refresh_diff(turn&, const json&);
answer commit(turn&, const json&);
answer apply_diff(turn&, const json&);
answer apply_saved(turn&, const json&);
answer apply_commit(turn&, const json&);
answer diff(const view&, const json&);

// push.cpp
answer push(turn&, const json&);
answer apply_push(turn&, const json&);

// update.cpp
answer update_from_base(turn&, const json&);
answer apply_base(turn&, const json&);
answer apply_update(turn&, const json&);
answer abort_update(turn&, const json&);
answer apply_update_aborted(turn&, const json&);

// budget.cpp
answer set_budget(turn&, const json&);
answer apply_budget(turn&, const json&);

// snapshot.cpp
json snapshot(const view&);
answer step_log(const view&, const json&);

/// The problem for a client's command in this state; nothing when the table has it.
std::optional<problem> refuse(const record&, std::string_view command);

}  // namespace troupe::actors::tasks
