// The system calls that nothing inside a sandbox may make, as a BPF program.
#pragma once

#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

struct seccomp_policy {
  // Debuggers need it. Off, because one process of a sandbox could otherwise rewrite another, init's helpers
  // included.
  bool allow_ptrace = false;
};

// A descriptor at offset 0 of the compiled program, as `bwrap --seccomp` reads it. What is denied answers
// EPERM, except clone3, which answers ENOSYS so that libc falls back to clone, whose flags a filter can read.
// Everything that is not in the list is allowed: the list takes away what reaches the kernel's rarely used
// corners, the namespaces do the rest.
outcome<descriptor> compile_seccomp(const seccomp_policy& policy);

}  // namespace troupe::sandboxd
