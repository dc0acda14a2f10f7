// Pushing to a repository on the server's own disk, as git itself does it: through `git receive-pack`.
//
// libgit2's transport for paths writes references without asking the repository's hooks, which is how a path
// protects its branches. Hooks run as the server's user, and git refuses repositories that belong to another
// one.
#pragma once

#include <git2.h>

namespace troupe::drivers::git {

// For git_remote_callbacks.transport. The program's socket belongs to the job of the thread, so that ending
// the job ends it.
int receive_pack_transport(git_transport** out, git_remote* owner, void*);

}  // namespace troupe::drivers::git
