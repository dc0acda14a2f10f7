// One shell command as a child process in an own session, so that ending it ends what it started.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

namespace scripted {

inline constexpr std::size_t max_output = 128u
                                          << 10;  // bytes kept of a command's output; the rest is counted
inline constexpr std::chrono::minutes max_command_time{10};  // then it is killed
inline constexpr std::chrono::milliseconds kill_grace{300};  // between SIGTERM and SIGKILL

struct command_result {
  int exit_code = -1;  // -1: ended by a signal, or never started
  int signal = 0;      // 0: none
  bool timed_out = false;
  std::string output;       // stdout and stderr as they came
  std::size_t cut = 0;      // bytes of output that were not kept
  std::string start_error;  // not empty: the command never started
};

// Runs it to its end. `stop` ends it: SIGTERM to its process group, SIGKILL after kill_grace. `on_output` is
// called on this thread with each piece of output that is kept.
command_result run_command(const std::string& command, const std::string& cwd, const std::stop_token& stop,
                           const std::function<void(std::string_view)>& on_output);

// Starts it and leaves it alone; it outlives the agent. Its output goes nowhere. -1 with errno: not started.
pid_t spawn_command(const std::string& command, const std::string& cwd);

}  // namespace scripted
