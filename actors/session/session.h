// One conversation with one agent: its transcript, its queue of prompts, its permission requests.
// Coordinator: the task, which gives it a sandbox and a slot. Start at commands.cpp; advance.h is where it
// decides what to do next.
#pragma once

#include <span>

#include "actors/transition.h"
#include "runtime/kind.h"

namespace troupe::actors {

const kind& session();

/// State × command → state. Names without a dot are events: what the agent and the sandbox do.
std::span<const transition> session_transitions();

}  // namespace troupe::actors
