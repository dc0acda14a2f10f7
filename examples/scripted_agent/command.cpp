#include "examples/scripted_agent/command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace scripted {
namespace {

using clock = std::chrono::steady_clock;

// In the child: from here on only async-signal-safe calls.
[[noreturn]] void become(const char* command, const char* cwd, int output, int report) {
  ::setsid();
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, 0);
  ::dup2(output < 0 ? null : output, 1);
  ::dup2(output < 0 ? null : output, 2);
  if (::chdir(cwd) == 0) ::execl("/bin/sh", "sh", "-c", command, static_cast<char*>(nullptr));
  const int why = errno;
  [[maybe_unused]] const auto told = ::write(report, &why, sizeof why);
  ::_exit(127);
}

struct child {
  pid_t pid = -1;
  int error = 0;
};

child start(const std::string& command, const std::string& cwd, int output) {
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return {-1, errno};
  const pid_t pid = ::fork();
  if (pid == 0) become(command.c_str(), cwd.c_str(), output, report[1]);
  const int fork_error = errno;
  ::close(report[1]);
  int why = 0;
  const bool failed = pid > 0 && ::read(report[0], &why, sizeof why) == sizeof why;  // closed by a good exec
  ::close(report[0]);
  if (pid < 0) return {-1, fork_error};
  if (failed) {
    ::waitpid(pid, nullptr, 0);
    return {-1, why};
  }
  return {pid, 0};
}

}  // namespace

command_result run_command(const std::string& command, const std::string& cwd, const std::stop_token& stop,
                           const std::function<void(std::string_view)>& on_output) {
  command_result result;
  int out[2];
  if (::pipe2(out, O_CLOEXEC) != 0) {
    result.start_error = std::string("pipe: ") + std::strerror(errno);
    return result;
  }
  const auto [pid, error] = start(command, cwd, out[1]);
  ::close(out[1]);
  if (pid < 0) {
    ::close(out[0]);
    result.start_error = "starting /bin/sh in " + cwd + ": " + std::strerror(error);
    return result;
  }
  const auto deadline = clock::now() + max_command_time;
  auto kill_at = clock::time_point::max();
  const auto terminate = [&] {
    if (kill_at == clock::time_point::max()) {
      kill_at = clock::now() + kill_grace;
      ::kill(-pid, SIGTERM);
    }
  };
  int status = 0;
  bool exited = false;
  bool open = true;
  char block[16384];
  // The command has ended when its shell has; a process that it left in the background may hold the pipe for
  // ever.
  while (!exited || open) {
    pollfd wait{out[0], POLLIN, 0};
    ::poll(&wait, open ? 1 : 0, exited ? 0 : open ? 20 : 1);
    if (open && wait.revents) {
      const auto got = ::read(out[0], block, sizeof block);
      if (got <= 0) {
        open = false;
      } else {
        const auto keep = std::min(static_cast<std::size_t>(got), max_output - result.output.size());
        result.output.append(block, keep);
        result.cut += static_cast<std::size_t>(got) - keep;
        if (keep > 0) on_output({block, keep});
      }
    } else if (exited) {
      break;
    }
    if (!exited && ::waitpid(pid, &status, WNOHANG) == pid) exited = true;
    if (exited) continue;
    if (clock::now() >= deadline) {
      result.timed_out = true;
      terminate();
    }
    if (stop.stop_requested()) terminate();
    if (clock::now() >= kill_at) {
      ::kill(-pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      exited = true;
    }
  }
  ::close(out[0]);
  if (stop.stop_requested() || result.timed_out)
    ::kill(-pid, SIGKILL);  // what ignored the SIGTERM in its group
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

pid_t spawn_command(const std::string& command, const std::string& cwd) {
  const auto [pid, error] = start(command, cwd, -1);
  errno = error;
  return pid;
}

}  // namespace scripted
