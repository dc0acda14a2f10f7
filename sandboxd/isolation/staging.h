// The private mounts from which bubblewrap builds a sandbox.
//
// The sandbox's uid cannot walk to its own workspace (the data folder is the server's alone), so root binds
// what it may have onto a tmpfs in a mount namespace of its own, which dies with the sandbox: no mount is
// ever left on the host.
#pragma once

#include "sandboxd/isolation/bwrap.h"
#include "sandboxd/isolation/spec.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

// Fills the host paths of `plan` from `spec` as they are: for a server whose own uid the sandbox has.
void plan_in_place(const sandbox_spec& spec, const std::string& program, bwrap_plan& plan);

// Replaces them by paths below a staging folder. In the child, after fork: leaves the host's mount namespace.
// Root only.
outcome<done> stage_mounts(const sandbox_spec& spec, bwrap_plan& plan);

// The overlay of overlay_base over work/, as `plan.workspace`, without root: inside a user namespace that
// maps the own ids onto themselves. In the child, after fork.
outcome<done> stage_overlay_unprivileged(const sandbox_spec& spec, bwrap_plan& plan);

// What of the host's /etc is shown, and /bin, /lib and their like, as this host has them.
void plan_system(bwrap_plan& plan);

}  // namespace troupe::sandboxd
