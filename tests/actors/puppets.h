// Stand-ins for tasks and sandboxes, so that their coordinators are tested alone: they keep what they are
// told and say what the test tells them to.
#pragma once

#include "runtime/kind.h"

namespace troupe::testing {

/// Takes every message that a task gets, and from the host `task.say` {to, name, body}, `task.make` {child…}
/// and `task.leave`. Snapshot: {"heard": [{name, body}…]}. It answers task.delete and task.apply_slot with an
/// error after `task.refuse` {code, detail}.
const kind& puppet_task();
/// The same for a sandbox.
const kind& puppet_sandbox();

}  // namespace troupe::testing
