// The subcommands of `sandboxd` that make and end local sandboxes: supervise, init, probe, reap,
// leftovers, inside-check.
#pragma once

#include "sandboxd/isolation/supervise.h"

namespace CLI {
class App;
}

namespace troupe::sandboxd {

// Adds them to `app`; the one that is chosen writes the program's exit code when the command line is parsed.
// `service` makes the daemon's API for `supervise`. Both outlive the parsing.
void add_isolation_commands(CLI::App& app, make_service service, int& exit_code);

}  // namespace troupe::sandboxd
