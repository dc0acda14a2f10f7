#include "sandboxd/isolation/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "sandboxd/isolation/cgroups.h"
#include "sandboxd/isolation/launch.h"
#include "sandboxd/isolation/remove_tree.h"
#include "sandboxd/isolation/seccomp.h"

namespace troupe::sandboxd {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr auto inside_limit = std::chrono::seconds(10);

// A temporary folder with the parts of a sandbox; gone with its owner.
class throw_away {
 public:
  throw_away() {
    char name[] = "/tmp/troupe-probe-XXXXXX";
    if (::mkdtemp(name)) folder_ = name;
  }
  ~throw_away() {
    if (!folder_.empty()) (void)remove_tree(folder_);
  }
  throw_away(const throw_away&) = delete;
  throw_away& operator=(const throw_away&) = delete;
  const fs::path& folder() const { return folder_; }

 private:
  fs::path folder_;
};

std::string remedy_for_namespaces(int number) {
  if (::access("/usr/bin/bwrap", X_OK) < 0) return "apt-get install bubblewrap";
  if (number == ENOSPC) return "sysctl user.max_user_namespaces=10000";
  return "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
         "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a container, run it with "
         "--security-opt seccomp=unconfined --security-opt systempaths=unconfined";
}

probe try_sandbox(const char* name, sandbox_spec spec, const std::string& canary,
                  std::vector<probe>* promises) {
  probe out;
  out.name = name;
  out.consequence = "no isolation: the server refuses to run agents unless told --unsafe-no-isolation";
  auto result = run_inside(spec, cgroups({}, "probe"),
                           {std::string(inside::programs) + "/sandboxd", "inside-check", "--canary", canary},
                           inside_limit);
  if (!result) {
    out.error_number = result.error().number;
    out.detail = result.error().text;
    out.remedy = remedy_for_namespaces(out.error_number);
    return out;
  }
  const json checks = json::parse(result->output, nullptr, false);
  if (result->exit_code != 0 || !checks.is_array()) {
    // bubblewrap says it in words of its own.
    const bool exceeded = result->errors.find("No space left") != std::string::npos ||
                          result->errors.find("ENOSPC") != std::string::npos;
    out.error_number = exceeded ? ENOSPC : EPERM;
    out.detail = "the throw-away sandbox ended with code " + std::to_string(result->exit_code) +
                 (result->errors.empty() ? "" : ": " + result->errors);
    out.remedy = remedy_for_namespaces(out.error_number);
    return out;
  }
  out.ok = true;
  for (const auto& check : checks) {
    probe promise;
    promise.name = "inside_" + check.value("check", "");
    promise.ok = check.value("ok", false);
    promise.detail = promise.ok ? "holds" : check.value("found", "");
    promise.consequence = "the sandbox does not keep what it promises";
    promise.remedy = "report this with the kernel's and bubblewrap's version";
    if (!promise.ok) {
      out.ok = false;
      out.detail += (out.detail.empty() ? "from inside: " : "; ") + promise.detail;
    }
    if (promises) promises->push_back(std::move(promise));
  }
  if (out.ok) out.detail = std::to_string(checks.size()) + " promises hold from inside";
  return out;
}

// A child in the group that does nothing, to be frozen and killed.
class sleeper {
 public:
  explicit sleeper(const cgroups& groups) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    for (const auto& entrance : groups.entrances()) {
      std::ofstream file(entrance);
      file << "0" << std::flush;
    }
    for (;;) ::pause();
  }
  ~sleeper() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  sleeper(const sleeper&) = delete;
  sleeper& operator=(const sleeper&) = delete;

 private:
  pid_t pid_;
};

void probe_groups(probe_report& report, bool& memory, bool& pids, bool& cpu, bool& freezer) {
  const auto found = cgroups::find(cgroup_sources::of_this_process());
  const auto name = "probe-" + std::to_string(::getpid());
  auto attempt = [&](const char* what, const char* controller, limits_spec limits, const char* consequence,
                     bool& result) {
    probe p;
    p.name = what;
    p.consequence = consequence;
    p.remedy = ::geteuid() == 0 ? "mount the controller: it is not among /sys/fs/cgroup's"
                                : "run as root, or give the server a delegated group (systemd: Delegate=yes)";
    cgroups groups(found, name);
    if (!groups.enforces(controller)) {
      p.error_number = ENOENT;
      p.detail = std::string("no control group hierarchy has ") + controller;
    } else if (auto made = groups.create(limits); !made) {
      p.error_number = made.error().number;
      p.detail = made.error().text;
    } else {
      p.ok = result = true;
      if (controller == std::string_view("freezer")) {
        sleeper one(groups);
        auto frozen = groups.freeze(true);
        auto thawed = groups.freeze(false);
        (void)groups.kill();
        if (!frozen || !thawed) {
          p.ok = result = false;
          p.error_number = (frozen ? thawed : frozen).error().number;
          p.detail = (frozen ? thawed : frozen).error().text;
        }
      }
      if (p.ok) {
        p.detail = "in";
        for (const auto& h : found)
          if (std::find(h.controllers.begin(), h.controllers.end(), controller) != h.controllers.end() ||
              (controller == std::string_view("freezer") && h.version == 2))
            p.detail += " " + h.base.string() + " (v" + std::to_string(h.version) + ")";
      }
    }
    (void)groups.remove();
    report.probes.push_back(std::move(p));
  };
  limits_spec one;
  one.memory_bytes = 64 << 20;
  attempt("memory_limit", "memory", one, "memory is limited per process only (RLIMIT_DATA)", memory);
  one = {};
  one.pids = 32;
  attempt("process_limit", "pids", one,
          "processes are limited by RLIMIT_NPROC in the sandbox's user namespace", pids);
  one = {};
  one.cpus = 0.5;
  attempt("cpu_limit", "cpu", one, "CPU time is shared without a limit", cpu);
  attempt("freezer", "freezer", {}, "pausing sends SIGSTOP from PID 1 instead of freezing", freezer);
}

probe probe_landlock() {
  probe p;
  p.name = "landlock";
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  p.ok = abi > 0;
  p.error_number = abi < 0 ? errno : 0;
  p.detail = abi > 0 ? "ABI " + std::to_string(abi) : "";
  p.consequence = "no tier for machines without user namespaces (not built yet)";
  p.remedy = "a kernel with CONFIG_SECURITY_LANDLOCK";
  return p;
}

}  // namespace

probe_report probe_machine(std::uint32_t uid) {
  probe_report out;
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // so that nothing of a sandbox that failed half-way stays behind
  const bool root = ::geteuid() == 0;

  probe program;
  program.name = "bubblewrap";
  program.ok = ::access("/usr/bin/bwrap", X_OK) == 0;
  program.error_number = program.ok ? 0 : errno;
  program.detail = program.ok ? "/usr/bin/bwrap" : "/usr/bin/bwrap is not there";
  program.consequence = "no sandboxes with namespaces";
  program.remedy = "apt-get install bubblewrap";
  out.probes.push_back(program);

  probe filter;
  filter.name = "system_call_filter";
  auto compiled = compile_seccomp({});
  filter.ok = compiled.ok();
  if (!compiled) {
    filter.error_number = compiled.error().number;
    filter.detail = compiled.error().text;
  }
  filter.consequence = "no sandboxes with namespaces";
  filter.remedy = "a kernel with CONFIG_SECCOMP_FILTER";
  out.probes.push_back(filter);

  throw_away place;
  sandbox_spec spec;
  spec.key = "probe";
  spec.nonce = "probeprobeprobe0";
  spec.folder = place.folder();
  spec.socket = place.folder() / "socket";
  spec.level = root ? tier::namespaces_and_uid : tier::namespaces;
  spec.uid = spec.gid = uid;
  const auto canary = (place.folder() / "canary").string();
  std::ofstream(canary) << "visible";
  bool inside_holds = false;
  if (program.ok && filter.ok && !place.folder().empty()) {
    std::vector<probe> promises;
    auto sandbox = try_sandbox(root ? "namespaces_and_uid" : "user_namespaces", spec, canary, &promises);
    inside_holds = sandbox.ok;
    out.probes.push_back(std::move(sandbox));
    for (auto& promise : promises) out.probes.push_back(std::move(promise));
    if (inside_holds) {
      auto layered = spec;
      layered.folder = place.folder() / "layered";
      fs::create_directories(layered.folder);
      const auto base = place.folder() / "base";
      fs::create_directory(base);
      if (root) (void)!::chown(base.c_str(), uid, uid);
      layered.overlay_base = base;
      auto overlay = try_sandbox("overlay", layered, canary, nullptr);
      overlay.consequence = "a workspace cannot be laid over a read-only base; it is copied instead";
      overlay.remedy = "put the data folder on ext4, xfs or btrfs, not on an overlay itself";
      out.probes.push_back(std::move(overlay));
    }
  }
  bool memory = false, pids = false, cpu = false, freezer = false;
  probe_groups(out, memory, pids, cpu, freezer);
  out.probes.push_back(probe_landlock());

  out.chosen = inside_holds ? spec.level : tier::none;
  const std::string sandbox = root ? "namespaces_and_uid" : "user_namespaces";
  const auto held = inside_holds ? "enforced" : "absent";
  auto add = [&](const char* name, std::string state, std::string by, std::string decides) {
    out.items.push_back({name, std::move(state), std::move(by), std::move(decides)});
  };
  add("private_files", held, "mount and user namespaces", sandbox);
  add("memory", memory && inside_holds ? "enforced" : "best_effort", memory ? "control group" : "RLIMIT_DATA",
      "memory_limit");
  add("cpu", cpu && inside_holds ? "enforced" : "absent", cpu ? "control group" : "", "cpu_limit");
  add("pids", inside_holds ? "enforced" : "absent", pids ? "control group and RLIMIT_NPROC" : "RLIMIT_NPROC",
      inside_holds ? "process_limit" : sandbox);
  add("disk", "best_effort", "RLIMIT_FSIZE", "");
  add("pause", inside_holds ? "enforced" : "absent", freezer ? "freezer" : "SIGSTOP by PID 1",
      inside_holds ? "freezer" : sandbox);
  add("network_none", held, "network namespace", sandbox);
  add("network_proxy", held, "network namespace and the server's proxy", sandbox);
  add("network_open", "absent", "", "");
  return out;
}

json to_json(const probe_report& report) {
  json probes = json::array(), items = json::object();
  for (const auto& p : report.probes)
    probes.push_back({{"probe", p.name},
                      {"result", p.ok ? "ok" : "failed"},
                      {"errno", p.error_number},
                      {"error", p.error_number ? strerrorname_np(p.error_number) : ""},
                      {"detail", p.detail},
                      {"consequence", p.ok ? "" : p.consequence},
                      {"remedy", p.ok ? "" : p.remedy}});
  for (const auto& i : report.items) items[i.name] = {{"state", i.state}, {"by", i.by}, {"probe", i.probe}};
  return {{"tier", to_text(report.chosen)}, {"probes", std::move(probes)}, {"items", std::move(items)}};
}

std::string to_table(const probe_report& report) {
  std::string out = "tier: " + std::string(to_text(report.chosen)) + "\n\n";
  for (const auto& p : report.probes) {
    out += std::string(p.ok ? "ok      " : "FAILED  ") + p.name;
    if (!p.detail.empty()) out += ": " + p.detail;
    if (p.error_number) out += std::string(" (") + strerrorname_np(p.error_number) + ")";
    if (!p.ok) out += "\n        means: " + p.consequence + "\n        do:    " + p.remedy;
    out += "\n";
  }
  out += "\n";
  for (const auto& i : report.items)
    out += i.name + ": " + i.state + (i.by.empty() ? "" : " by " + i.by) + "\n";
  return out;
}

}  // namespace troupe::sandboxd
