// One place where agents run: its lifecycle, its limits and its processes. The rows are the truth about what
// should be, the provider and the daemon are the world; after a crash the two are reconciled by the effects
// and the feed. Its coordinator is the organization; the one task that uses it is its holder. Start at
// commands.cpp.
#pragma once

#include <span>

#include "actors/transition.h"
#include "runtime/kind.h"

namespace troupe::actors {

const kind& sandbox();

/// State × command → state; "outcome" rows are what the world answers.
std::span<const transition> sandbox_transitions();

}  // namespace troupe::actors
