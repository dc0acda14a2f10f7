// One task: one branch of one repository, worked on by agents in one sandbox. Coordinator of its sessions;
// its own coordinator is the organization. Start at commands.cpp; advance.h is where it decides what to do
// next.
#pragma once

#include <span>

#include "actors/transition.h"
#include "runtime/kind.h"

namespace troupe::actors {

const kind& task();

/// State × command → state. Names without a dot are events: waits, prepares, runs, asks, rests, fails,
/// archived.
std::span<const transition> task_transitions();

}  // namespace troupe::actors
