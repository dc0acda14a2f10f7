// The handlers of kind `sandbox`; each is described by its row in docs/domain.md.
#pragma once

#include "runtime/turn.h"

namespace troupe::actors::sandboxes {

answer create(turn&, const json&);
answer pause(turn&, const json&);
answer resume(turn&, const json&);
answer kill(turn&, const json&);
answer start(turn&, const json&);
answer destroy(turn&, const json&);
answer leave(turn&, const json&);
answer refresh(turn&, const json&);

answer apply_outcome(turn&, const json&);
answer apply_watch(turn&, const json&);
answer apply_watch_end(turn&, const json&);
answer retry_destroy(turn&, const json&);

answer run(turn&, const json&);
answer stop_process(turn&, const json&);
answer kill_process(turn&, const json&);
answer remove_process(turn&, const json&);
answer send_input(turn&, const json&);
answer apply_process(turn&, const json&);

/// One ProcessInfo as the daemon's events bring it.
void merge_process(turn&, std::int64_t generation, const json& info);

answer list_processes(const view&, const json&);
json snapshot(const view&);

}  // namespace troupe::actors::sandboxes
