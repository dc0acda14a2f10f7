// Ending a sandbox from outside, whatever state it is in: from its spec, its record and what the kernel says.
#pragma once

#include <string>
#include <vector>

#include "sandboxd/isolation/spec.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

inline constexpr auto reap_limit = std::chrono::seconds(10);  // for processes to die; then EBUSY

struct reaped {
  bool was_alive = false;  // a process of it lived
  bool was_there = false;  // or at least a file, group or socket
};

// Kills every process of it, removes its control groups and its socket; with `files` also work/, home/, net/
// and run/, and the folder itself when nothing else is in it. Idempotent: what is gone already is success.
// The intent goes last, so that an interrupted reap is found and done again.
outcome<reaped> reap(const sandbox_spec& spec, bool files);

}  // namespace troupe::sandboxd
