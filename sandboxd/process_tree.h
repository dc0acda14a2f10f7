// Finding everything that descends from a started process, as /proc shows it.
//
// A descendant is found by its parents, or by a mark in the environment that each spawned process gets and
// hands down: an agent's commands lead sessions of their own, and orphans of the tree were re-parented to us.
// What cleared its environment and lost its parents is found no more; a sandbox ends such by ending its PID
// namespace.
//
// Any thread. One look costs a walk over /proc.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace troupe::sandboxd {

// The variable whose value marks a tree.
constexpr const char* tree_variable = "TROUPE_PROCESS";

// A process that was seen: its pid and start time together are never reused.
struct seen_process {
  pid_t pid = 0;
  unsigned long long started = 0;
};

// `root` may have ended (0: it has); `mark` is the value of tree_variable. Zombies are left out.
std::vector<seen_process> find_tree(pid_t root, const std::string& mark);

// Now, on the clock of seen_process::started.
unsigned long long start_clock();

// Those of `members` that began at `since` or later, in a session that is not `session` and that began then
// too: what an agent ran as commands, and not the agent, its helpers or servers.
std::vector<seen_process> commands_among(const std::vector<pid_t>& members, pid_t session,
                                         unsigned long long since);

// Signals through a pidfd after checking the start time. False: it is gone, or not ours to signal (errno).
bool signal_seen(const seen_process& who, int number);

}  // namespace troupe::sandboxd
