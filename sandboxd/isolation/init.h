// PID 1 of a sandbox.
//
// It starts what the supervisor asks for, keeps track of everything that descends from it, and is the last
// thing that lives in the sandbox: when the supervisor goes, init ends, and the kernel ends the rest. It
// trusts nothing that runs beside it: not dumpable, no descriptor of its own inherited by anyone.
//
// Its children:
//   shepherd  one per spawned process: its subreaper, so that whatever forks away stays findable; reports the
//   exit files     answers file operations in the sandbox's own view, so that a slow disk does not delay init
//   relay     listens on the sandbox's loopback (relay.h)
// files and relay are started again when the agent kills them, at most `restarts_per_minute` times a minute.
//
// The conversation, on the control socket: requests {"id", "op", …} answered by {"id", "ok": true, …} or
// {"id", "errno", "text"}, and events.
//   begin    limits, routes, home → a descriptor: the socket of `files`. The first request.
//   spawn    argv, environment, directory, terminal, columns, rows → process, pid, [input, output, error] or
//   [terminal] signal   process, number, tree forget   process (no answer) find     name, path → path pause,
//   resume, count event exit   process, code or signal event files  a new socket of `files`
// On the files socket: status, list, open, make_directory, make_symlink, move, remove as in place.h.
#pragma once

#include <cstdint>

#include "sandboxd/isolation/spec.h"

namespace troupe::sandboxd {

inline constexpr int restarts_per_minute = 30;
inline constexpr std::size_t init_processes = 1024;  // spawned and not forgotten; beyond it EAGAIN

// Runs until the other end of `control` is closed. The exit code of the program.
int run_init(int control);

}  // namespace troupe::sandboxd
