// Git, for the organization and task actors: the effects git.* of docs/effects.md.
//
// Two worlds that never meet: the bare mirrors, which the server writes with libgit2 (mirror.h), and the
// repositories in sandboxes, which only git inside the sandbox touches (workspace.h).
#pragma once

#include <vector>

#include "drivers/git/workspace.h"
#include "runtime/effect.h"

namespace troupe::drivers::git {

struct limits {
  std::chrono::milliseconds probe = std::chrono::seconds(30);
  std::chrono::milliseconds mirror = std::chrono::minutes(30);
  std::chrono::milliseconds work = std::chrono::minutes(10);  // of each effect inside a sandbox
};

// Registered with the host. `world` is shared by all of them; what it refers to outlives the host.
std::vector<effect_kind> effects(environment world, limits with = {});

}  // namespace troupe::drivers::git
