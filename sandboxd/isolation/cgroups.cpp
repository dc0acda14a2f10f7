#include "sandboxd/isolation/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <sstream>
#include <thread>

#include "sandboxd/descriptor.h"

namespace troupe::sandboxd {
namespace {

using std::filesystem::path;
using clock = std::chrono::steady_clock;

constexpr std::size_t file_bytes = 1 << 20;  // of any control file that is read
constexpr auto look_again = std::chrono::microseconds(500);
constexpr std::uint64_t cpu_period_us = 100'000;
constexpr const char* wanted[] = {"memory", "pids", "cpu", "freezer"};

std::optional<std::string> read(const path& file) {
  descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!in) return {};
  std::string out;
  std::array<char, 4096> piece;
  for (ssize_t n; out.size() < file_bytes && (n = ::read(in.get(), piece.data(), piece.size())) > 0;)
    out.append(piece.data(), static_cast<std::size_t>(n));
  return out;
}

outcome<done> write(const path& file, const std::string& text) {
  descriptor out{::open(file.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!out) return os_error{errno, "cgroup: opening " + file.string() + " for writing"};
  if (::write(out.get(), text.data(), text.size()) < 0)
    return os_error{errno, "cgroup: writing " + text + " to " + file.string()};
  return done{};
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out;
  std::istringstream in{std::string(text)};
  for (std::string item; std::getline(in, item, at);) out.push_back(item);
  return out;
}

bool has(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// mountinfo writes blanks and backslashes as three octal digits.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The value of "name 12" in files such as memory.events.
std::optional<std::uint64_t> field(const std::string& text, std::string_view name) {
  std::istringstream in(text);
  std::string word;
  std::uint64_t value;
  while (in >> word >> value)
    if (word == name) return value;
  return {};
}

std::optional<std::uint64_t> number(const path& file) {
  auto text = read(file);
  if (!text || text->empty() || !isdigit(static_cast<unsigned char>((*text)[0]))) return {};
  return strtoull(text->c_str(), nullptr, 10);
}

std::vector<pid_t> members(const path& folder) {
  std::vector<pid_t> out;
  std::istringstream in(read(folder / "cgroup.procs").value_or(""));
  for (pid_t pid; in >> pid;)
    if (pid > 0) out.push_back(pid);
  return out;
}

}  // namespace

cgroup_sources cgroup_sources::of_this_process() {
  return {read("/proc/self/mountinfo").value_or(""), read("/proc/self/cgroup").value_or("")};
}

std::vector<cgroup_hierarchy> cgroups::find(const cgroup_sources& sources) {
  // "4:memory:/path" for v1, "0::/path" for v2.
  auto own_path = [&](int version,
                      const std::vector<std::string>& controllers) -> std::optional<std::string> {
    for (const auto& line : split(sources.own, '\n')) {
      const auto first = line.find(':'), second = line.find(':', first + 1);
      if (first == std::string::npos || second == std::string::npos) continue;
      const auto names = split(std::string_view(line).substr(first + 1, second - first - 1), ',');
      const bool same = version == 2 ? line.compare(0, 3, "0::") == 0
                                     : std::any_of(controllers.begin(), controllers.end(),
                                                   [&](const auto& c) { return has(names, c); });
      if (same) return line.substr(second + 1);
    }
    return {};
  };

  std::vector<cgroup_hierarchy> out;
  for (const auto& line : split(sources.mountinfo, '\n')) {
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const auto before = split(line.substr(0, dash), ' ');
    const auto after = split(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    cgroup_hierarchy found;
    if (after[0] == "cgroup2") {
      found.version = 2;
    } else if (after[0] == "cgroup") {
      found.version = 1;
      const auto options = split(after[2], ',');
      for (const char* name : wanted)
        if (has(options, name)) found.controllers.push_back(name);
      if (found.controllers.empty()) continue;
    } else {
      continue;
    }
    auto inner = own_path(found.version, found.controllers);
    if (!inner) continue;
    const auto root = unescape(before[3]);  // the part of the hierarchy that is mounted here
    if (root != "/" && inner->compare(0, root.size(), root) == 0) inner = inner->substr(root.size());
    path own = unescape(before[4]);
    for (const auto& part : path(*inner))
      if (part != "/" && part != ".." && !part.empty()) own /= part;
    if (own.filename() == "troupe-server") own = own.parent_path();
    found.base = own;
    if (found.version == 2) {
      const auto names = split(read(own / "cgroup.controllers").value_or(""), ' ');
      for (std::string name : names) {
        while (!name.empty() && name.back() == '\n') name.pop_back();
        if (name == "memory" || name == "pids" || name == "cpu") found.controllers.push_back(name);
      }
    }
    // A hierarchy that is mounted twice counts once.
    if (std::none_of(out.begin(), out.end(), [&](const auto& h) {
          return h.version == found.version && (found.version == 2 || h.controllers == found.controllers);
        }))
      out.push_back(std::move(found));
  }
  return out;
}

outcome<done> cgroups::delegate(const cgroup_hierarchy& h) {
  if (h.version != 2 || h.controllers.empty()) return done{};
  const auto missing = [&](const path& folder) {
    const auto on = split(read(folder / "cgroup.subtree_control").value_or(""), ' ');
    std::string out;
    for (const auto& name : h.controllers)
      if (std::none_of(on.begin(), on.end(), [&](auto item) {
            while (!item.empty() && item.back() == '\n') item.pop_back();
            return item == name;
          }))
        out += (out.empty() ? "+" : " +") + name;
    return out;
  };
  if (auto text = missing(h.base); !text.empty()) {
    auto first = write(h.base / "cgroup.subtree_control", text);
    if (!first && first.error().number == EBUSY) {
      const auto leaf = h.base / "troupe-server";
      if (::mkdir(leaf.c_str(), 0755) < 0 && errno != EEXIST)
        return os_error{errno, "cgroup: making " + leaf.string()};
      for (pid_t pid : members(h.base)) write(leaf / "cgroup.procs", std::to_string(pid)).ok();
      first = write(h.base / "cgroup.subtree_control", text);
    }
    if (!first) return first;
  }
  const auto shared = h.base / "troupe";
  if (::mkdir(shared.c_str(), 0755) < 0 && errno != EEXIST)
    return os_error{errno, "cgroup: making " + shared.string()};
  if (auto text = missing(shared); !text.empty()) return write(shared / "cgroup.subtree_control", text);
  return done{};
}

cgroups::cgroups(std::vector<cgroup_hierarchy> hierarchies, std::string name)
    : hierarchies_(std::move(hierarchies)), name_(std::move(name)) {}

const cgroup_hierarchy* cgroups::with(std::string_view controller) const {
  for (const auto& h : hierarchies_)
    if (has(h.controllers, controller)) return &h;
  return nullptr;
}

const cgroup_hierarchy* cgroups::unified() const {
  for (const auto& h : hierarchies_)
    if (h.version == 2) return &h;
  return nullptr;
}

const cgroup_hierarchy* cgroups::freezer() const {
  const auto* v2 = unified();
  return v2 ? v2 : with("freezer");
}

bool cgroups::enforces(std::string_view controller) const {
  return controller == "freezer" ? can_freeze() : with(controller) != nullptr;
}

outcome<done> cgroups::create(const limits_spec& limits) {
  for (const auto& h : hierarchies_) {
    if (auto handed = delegate(h); !handed) return handed;
    const auto mine = folder(h);
    // The shared parent may be removed by the end of another sandbox between the two calls.
    for (int attempt = 0; ::mkdir(mine.c_str(), 0755) < 0 && errno != EEXIST; ++attempt) {
      if (errno != ENOENT || attempt == 8) return os_error{errno, "cgroup: making " + mine.string()};
      if (::mkdir(mine.parent_path().c_str(), 0755) < 0 && errno != EEXIST)
        return os_error{errno, "cgroup: making " + mine.parent_path().string()};
      if (auto again = delegate(h); !again) return again;
    }
  }
  if (const auto* h = with("memory"); h && limits.memory_bytes) {
    const auto bytes = std::to_string(limits.memory_bytes);
    if (auto set = write(folder(*h) / (h->version == 2 ? "memory.max" : "memory.limit_in_bytes"), bytes);
        !set)
      return set;
    // Swap would let a sandbox have more than its limit; a kernel without swap accounting has no such file.
    if (h->version == 2) {
      if (auto set = write(folder(*h) / "memory.swap.max", "0"); !set && set.error().number != ENOENT)
        return set;
    } else {
      const auto both = folder(*h) / "memory.memsw.limit_in_bytes";
      if (auto set = write(both, bytes); !set && set.error().number != ENOENT && set.error().number != EACCES)
        return set;
    }
  }
  if (const auto* h = with("pids"); h && limits.pids)
    if (auto set = write(folder(*h) / "pids.max", std::to_string(limits.pids)); !set) return set;
  if (const auto* h = with("cpu"); h && limits.cpus > 0) {
    const auto quota = std::to_string(static_cast<std::uint64_t>(
        std::max(1000.0, std::llround(limits.cpus * static_cast<double>(cpu_period_us)) * 1.0)));
    const auto period = std::to_string(cpu_period_us);
    if (h->version == 2) {
      if (auto set = write(folder(*h) / "cpu.max", quota + " " + period); !set) return set;
    } else {
      if (auto set = write(folder(*h) / "cpu.cfs_period_us", period); !set) return set;
      if (auto set = write(folder(*h) / "cpu.cfs_quota_us", quota); !set) return set;
    }
  }
  return done{};
}

std::vector<path> cgroups::folders() const {
  std::vector<path> out;
  for (const auto& h : hierarchies_) out.push_back(folder(h));
  return out;
}

std::vector<path> cgroups::entrances() const {
  auto out = folders();
  for (auto& item : out) item /= "cgroup.procs";
  return out;
}

outcome<done> cgroups::freeze(bool frozen, std::chrono::milliseconds limit) {
  const auto* h = freezer();
  if (!h) return os_error{ENOTSUP, "cgroup: no freezer is there"};
  const auto mine = folder(*h);
  const bool v2 = h->version == 2;
  const auto set = v2 ? write(mine / "cgroup.freeze", frozen ? "1" : "0")
                      : write(mine / "freezer.state", frozen ? "FROZEN" : "THAWED");
  if (!set) return set;
  for (const auto end = clock::now() + limit;;) {
    bool reached;
    if (v2) {
      reached = field(read(mine / "cgroup.events").value_or(""), "frozen") == (frozen ? 1u : 0u);
    } else {
      reached = read(mine / "freezer.state").value_or("").rfind(frozen ? "FROZEN" : "THAWED", 0) == 0;
    }
    if (reached) return done{};
    if (clock::now() > end)
      return os_error{ETIMEDOUT, "cgroup: " + mine.string() + " did not " + (frozen ? "freeze" : "thaw")};
    std::this_thread::sleep_for(look_again);
  }
}

std::vector<pid_t> cgroups::processes() const {
  std::vector<pid_t> out;
  for (const auto& h : hierarchies_)
    for (pid_t pid : members(folder(h)))
      if (std::find(out.begin(), out.end(), pid) == out.end()) out.push_back(pid);
  return out;
}

outcome<done> cgroups::kill(std::chrono::milliseconds limit) {
  const auto* v2 = unified();
  if (v2) (void)write(folder(*v2) / "cgroup.kill", "1");
  for (const auto end = clock::now() + limit;;) {
    const auto left = processes();
    if (left.empty()) return done{};
    for (pid_t pid : left) ::kill(pid, SIGKILL);
    // A frozen v1 group holds its dead until it is thawed.
    if (const auto* v1 = with("freezer"); v1 && v1->version == 1)
      (void)write(folder(*v1) / "freezer.state", "THAWED");
    if (clock::now() > end)
      return os_error{EBUSY, "cgroup: " + std::to_string(left.size()) + " processes of " + name_ +
                                 " are still there after SIGKILL, the first is " +
                                 std::to_string(left.front())};
    std::this_thread::sleep_for(look_again);
  }
}

cgroup_use cgroups::use() const {
  cgroup_use out;
  if (const auto* h = with("memory")) {
    const auto mine = folder(*h);
    out.memory_bytes = number(mine / (h->version == 2 ? "memory.current" : "memory.usage_in_bytes"));
    const auto events = read(mine / (h->version == 2 ? "memory.events" : "memory.oom_control")).value_or("");
    out.out_of_memory = field(events, "oom_kill").value_or(0);
  }
  if (const auto* h = with("pids")) out.processes = number(folder(*h) / "pids.current");
  if (const auto* h = with("cpu")) {
    const auto text = read(folder(*h) / "cpu.stat").value_or("");
    out.cpu_us = field(text, "usage_usec");
    if (!out.cpu_us)
      if (auto ns = number(folder(*h) / "cpuacct.usage")) out.cpu_us = *ns / 1000;
  }
  return out;
}

outcome<done> cgroups::remove(std::chrono::milliseconds limit) {
  const auto end = clock::now() + limit;
  for (const auto& h : hierarchies_) {
    const auto mine = folder(h);
    // A group whose last process has just died answers EBUSY for a moment.
    while (::rmdir(mine.c_str()) < 0 && errno != ENOENT) {
      if (errno != EBUSY || clock::now() > end) return os_error{errno, "cgroup: removing " + mine.string()};
      std::this_thread::sleep_for(look_again);
    }
    ::rmdir(mine.parent_path().c_str());  // shared: only the last one succeeds
  }
  return done{};
}

}  // namespace troupe::sandboxd
