// The handlers of kind `session`; each is described by its row in docs/domain.md.
#pragma once

#include "actors/session/session.h"
#include "runtime/turn.h"

namespace troupe::actors::sessions {

// lifecycle.cpp
answer create(turn&, const json&);
answer rename(turn&, const json&);
answer set_limits(turn&, const json&);
answer close(turn&, const json&);
answer resume(turn&, const json&);
answer leave(turn&, const json&);
answer apply_sandbox(turn&, const json&);

// prompts.cpp
answer prompt(turn&, const json&);
answer remove_prompt(turn&, const json&);
answer move_prompt(turn&, const json&);
answer cancel(turn&, const json&);

// turns.cpp
answer apply_prompt_outcome(turn&, const json&);
answer expire_prompt(turn&, const json&);
answer force_end(turn&, const json&);
answer settle_turn(turn&, const json&);

// agent.cpp
answer apply_started(turn&, const json&);
answer apply_setting(turn&, const json&);
answer apply_sent(turn&, const json&);
answer apply_updates_end(turn&, const json&);
answer set_mode(turn&, const json&);
answer set_model(turn&, const json&);

// updates.cpp
answer apply_updates(turn&, const json&);

// permissions.cpp
answer answer_permission(turn&, const json&);
answer expire_permission(turn&, const json&);

// snapshot.cpp
answer get_prompt(const view&, const json&);
answer list_permissions(const view&, const json&);
json snapshot(const view&);

}  // namespace troupe::actors::sessions
