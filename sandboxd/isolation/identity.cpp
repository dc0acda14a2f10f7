#include "sandboxd/isolation/identity.h"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace troupe::sandboxd {
namespace {

struct stat_line {
  char state = '?';
  std::uint64_t started = 0;
};

std::optional<stat_line> read_stat(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text{std::istreambuf_iterator<char>(in), {}};
  // The command in parentheses may hold anything, parentheses too: fields count from the last one.
  const auto close = text.rfind(')');
  if (close == std::string::npos) return {};
  std::istringstream rest(text.substr(close + 1));
  stat_line out;
  rest >> out.state;
  std::string skipped;
  for (int number = 4; number < 22; ++number) rest >> skipped;
  if (!(rest >> out.started)) return {};
  return out;
}

}  // namespace

std::string boot_id() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string text;
  in >> text;
  return text;
}

std::optional<process_identity> identify(pid_t pid) {
  auto line = read_stat(pid);
  if (!line) return {};
  return process_identity{pid, line->started, boot_id()};
}

std::optional<descriptor> hold(const process_identity& who) {
  if (who.pid <= 0) return {};
  descriptor fd{static_cast<int>(::syscall(SYS_pidfd_open, who.pid, 0))};
  if (!fd) return {};
  // Opened first, compared after: what we hold cannot change any more.
  const auto line = read_stat(who.pid);
  if (!line || line->started != who.started || line->state == 'Z' || boot_id() != who.boot) return {};
  return fd;
}

bool kill_and_wait(const process_identity& who, std::chrono::milliseconds limit) {
  auto fd = hold(who);
  if (!fd) return true;
  ::syscall(SYS_pidfd_send_signal, fd->get(), SIGKILL, nullptr, 0);
  pollfd wait{fd->get(), POLLIN, 0};
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    const int n = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (n > 0) return true;
    if (n == 0) return false;
  }
}

}  // namespace troupe::sandboxd
