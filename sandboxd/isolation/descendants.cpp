#include "sandboxd/isolation/descendants.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "sandboxd/descriptor.h"

namespace troupe::sandboxd {
namespace {

struct entry {
  pid_t pid = 0;
  pid_t parent = 0;
  char state = '?';
};

std::vector<entry> everything() {
  std::vector<entry> out;
  std::unique_ptr<DIR, int (*)(DIR*)> proc{::opendir("/proc"), ::closedir};
  if (!proc) return out;
  while (auto* item = ::readdir(proc.get())) {
    if (item->d_name[0] < '1' || item->d_name[0] > '9') continue;
    char name[64], text[512];
    snprintf(name, sizeof(name), "/proc/%.20s/stat", item->d_name);
    descriptor fd{::open(name, O_RDONLY | O_CLOEXEC)};
    if (!fd) continue;
    const ssize_t n = ::read(fd.get(), text, sizeof(text) - 1);
    if (n <= 0) continue;
    text[n] = '\0';
    const char* close = strrchr(text, ')');  // the command may hold anything
    entry e;
    e.pid = atoi(item->d_name);
    if (close && sscanf(close + 1, " %c %d", &e.state, &e.parent) == 2) out.push_back(e);
  }
  return out;
}

std::vector<entry> below(pid_t root) {
  const auto all = everything();
  std::vector<entry> out;
  std::vector<pid_t> open = {root};
  while (!open.empty()) {
    const pid_t at = open.back();
    open.pop_back();
    for (const auto& e : all) {
      if (e.parent != at || e.pid == root) continue;
      if (e.state != 'Z' && e.state != 'X') out.push_back(e);
      open.push_back(e.pid);
    }
  }
  return out;
}

}  // namespace

std::vector<pid_t> descendants(pid_t root) {
  std::vector<pid_t> out;
  for (const auto& e : below(root)) out.push_back(e.pid);
  return out;
}

std::size_t count_processes() {
  return everything().size();
}

bool kill_descendants(pid_t root, int looks) {
  for (int look = 0; look < looks; ++look) {
    const auto left = below(root);
    if (left.empty()) return true;
    const bool all_stopped = std::all_of(left.begin(), left.end(), [](const entry& e) {
      return e.state == 'T' || e.state == 't' || e.state == 'D';  // D returns into its pending SIGSTOP
    });
    // In the second half whatever does not stop (it is in the kernel) is killed all the same.
    const bool kill_now = all_stopped || look > looks / 2;
    for (const auto& e : left) ::kill(e.pid, kill_now ? SIGKILL : SIGSTOP);
    if (kill_now || look % 8 == 7) ::usleep(1000);
  }
  return below(root).empty();
}

}  // namespace troupe::sandboxd
