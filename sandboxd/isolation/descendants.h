// Who descends from whom, as /proc says. For init, which sees its own pid namespace alone.
#pragma once

#include <sys/types.h>

#include <vector>

namespace troupe::sandboxd {

// Everything alive (zombies are not) below `root`, without `root` itself.
std::vector<pid_t> descendants(pid_t root);

std::size_t count_processes();

// Kills everything below `root`: stops what it sees until a look finds nothing that still runs, so that
// nothing can fork away, then kills. False when something is left after `looks` looks, about a millisecond
// apart.
bool kill_descendants(pid_t root, int looks = 1000);

}  // namespace troupe::sandboxd
