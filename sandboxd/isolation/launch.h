// From a spec to a running PID 1: own uid, private mounts, bubblewrap, init.
//
// Called by the supervisor's only thread before it runs anything else: the child dies with the *thread* that
// made it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sandboxd/descriptor.h"
#include "sandboxd/isolation/cgroups.h"
#include "sandboxd/isolation/identity.h"
#include "sandboxd/isolation/spec.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

inline constexpr auto launch_limit = std::chrono::seconds(10);  // until PID 1 runs

struct launched {
  process_identity bwrap;  // our child
  process_identity init;   // PID 1 of the sandbox, as the host numbers it
  descriptor control;      // our end of init's socket
};

// Makes work/ and home/ in the spec's folder if they are missing (owned by the sandbox's uid), joins
// `groups`, starts. What fails says which step, on what, and where bubblewrap said so, its words. Nothing is
// left running after a failure.
outcome<launched> launch(const sandbox_spec& spec, const cgroups& groups);

// The same for a program other than init, run to its end with its standard output captured (at most 1 MiB):
// probes.
struct ran {
  int exit_code = -1;
  std::string output;
  std::string errors;
};
outcome<ran> run_inside(const sandbox_spec& spec, const cgroups& groups, std::vector<std::string> command,
                        std::chrono::milliseconds limit);

// The program that this is; seen inside as /opt/troupe/bin/sandboxd.
std::filesystem::path own_program();

}  // namespace troupe::sandboxd
