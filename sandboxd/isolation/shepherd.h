// The parent of one spawned process inside a sandbox.
#pragma once

#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>

#include "sandboxd/descriptor.h"
#include "sandboxd/isolation/spec.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

struct shepherd {
  pid_t pid = 0;
  descriptor socket;  // one packet {"pid"} or {"errno", "text"} with the standard streams, later one
                      // {"code"|"signal"}
};

// Forks it; `request` is init's spawn request. It lives until its process and everything that descends from
// it is gone.
outcome<shepherd> start_shepherd(const nlohmann::json& request, const limits_spec& limits);

// Marks all descriptors from 3 on close-on-exec and closes them except `keep` (-1: none).
void close_all_but(int keep);

}  // namespace troupe::sandboxd
