// The limits that every process of a sandbox carries, whether or not there are cgroups.
#pragma once

#include "sandboxd/isolation/spec.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

// Sets hard and soft limits of the calling process, for it and what it starts; a lower hard limit than asked
// for stays. Called inside the sandbox's user namespace: there RLIMIT_NPROC counts this sandbox alone,
// outside it would count everything of that uid. Memory is RLIMIT_DATA: RLIMIT_AS would stop runtimes that
// merely reserve addresses.
outcome<done> set_process_limits(const limits_spec& limits);

}  // namespace troupe::sandboxd
