#include "sandboxd/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "sandboxd/descriptor.h"

namespace troupe::sandboxd {
namespace {

// Environments beyond this are not searched for the mark; it stands among the first variables.
constexpr std::size_t max_environment_bytes = 256 * 1024;

struct facts {
  pid_t parent = 0;
  pid_t session = 0;
  char state = '?';
  unsigned long long started = 0;
};

std::string read_small(const std::string& path, std::size_t limit) {
  std::string out;
  descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return out;
  char piece[4096];
  while (out.size() < limit) {
    auto n = ::read(fd.get(), piece, sizeof piece);
    if (n <= 0) break;
    out.append(piece, static_cast<std::size_t>(n));
  }
  return out;
}

bool read_facts(pid_t pid, facts& out) {
  auto text = read_small("/proc/" + std::to_string(pid) + "/stat", 4096);
  // The name may hold spaces and parentheses: fields count from the last closing one.
  auto name_end = text.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text.size()) return false;
  return std::sscanf(text.c_str() + name_end + 2,
                     "%c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                     &out.state, &out.parent, &out.session, &out.started) == 4;
}

bool has_mark(pid_t pid, const std::string& mark) {
  auto all = read_small("/proc/" + std::to_string(pid) + "/environ", max_environment_bytes);
  auto wanted = std::string(tree_variable) + "=" + mark;
  for (std::size_t at = 0; at < all.size();) {
    auto end = std::min(all.find('\0', at), all.size());
    if (all.compare(at, end - at, wanted) == 0) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

std::vector<seen_process> find_tree(pid_t root, const std::string& mark) {
  std::unordered_map<pid_t, facts> all;
  if (DIR* proc = ::opendir("/proc")) {
    while (auto* e = ::readdir(proc)) {
      auto pid = static_cast<pid_t>(std::strtol(e->d_name, nullptr, 10));
      facts f;
      if (pid > 0 && read_facts(pid, f)) all.emplace(pid, f);
    }
    ::closedir(proc);
  }
  std::unordered_set<pid_t> members;
  if (root > 0 && all.count(root)) members.insert(root);
  auto self = ::getpid();
  for (auto& [pid, f] : all)
    if (pid != self && f.state != 'Z' && has_mark(pid, mark)) members.insert(pid);
  for (bool grown = true; grown;) {
    grown = false;
    for (auto& [pid, f] : all)
      if (members.count(f.parent) && members.insert(pid).second) grown = true;
  }
  std::vector<seen_process> out;
  for (auto pid : members)
    if (auto& f = all.at(pid); f.state != 'Z' && f.state != 'X') out.push_back({pid, f.started});
  return out;
}

unsigned long long start_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto ticks = static_cast<unsigned long long>(::sysconf(_SC_CLK_TCK));
  return static_cast<unsigned long long>(now.tv_sec) * ticks +
         static_cast<unsigned long long>(now.tv_nsec) * ticks / 1'000'000'000;
}

std::vector<seen_process> commands_among(const std::vector<pid_t>& members, pid_t session,
                                         unsigned long long since) {
  std::vector<seen_process> out;
  for (const auto pid : members) {
    facts own, leader;
    if (!read_facts(pid, own) || own.state == 'Z' || own.session == session || own.started < since) continue;
    // A leader that is gone says nothing; the process itself is new enough.
    if (read_facts(own.session, leader) && leader.started < since) continue;
    out.push_back({pid, own.started});
  }
  return out;
}

bool signal_seen(const seen_process& who, int number) {
  descriptor fd(static_cast<int>(::syscall(SYS_pidfd_open, who.pid, 0)));
  if (!fd) return false;
  facts now;
  if (!read_facts(who.pid, now) || now.started != who.started) {
    errno = ESRCH;
    return false;
  }
  return ::syscall(SYS_pidfd_send_signal, fd.get(), number, nullptr, 0) == 0;
}

}  // namespace troupe::sandboxd
