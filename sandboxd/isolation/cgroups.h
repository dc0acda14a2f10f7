// The control groups of one sandbox: on a v2 host one folder, on a hybrid host one per v1 controller and one
// of v2 for freezing and killing.
//
// Ours lie below the group that this process is in ("…/troupe/sb-<nonce>"), so that no limit set on the
// server from outside is escaped. Not thread-safe; the folders are shared with the kernel and survive their
// maker.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandboxd/isolation/spec.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

// What the kernel says about this process, in the format of /proc; tests bring their own.
struct cgroup_sources {
  std::string mountinfo;  // /proc/self/mountinfo
  std::string own;        // /proc/self/cgroup

  static cgroup_sources of_this_process();
};

// One mounted hierarchy that can hold our groups.
struct cgroup_hierarchy {
  int version = 2;
  std::vector<std::string> controllers;  // of memory, pids, cpu, freezer; v2 has its freezer built in
  std::filesystem::path base;            // the group that ours lie below
};

struct cgroup_use {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> processes;
  std::optional<std::uint64_t> cpu_us;
  std::uint64_t out_of_memory = 0;  // processes killed by the kernel because the limit was reached
};

class cgroups {
 public:
  // Finds the hierarchies; none is no error (then everything is absent). Makes nothing.
  static std::vector<cgroup_hierarchy> find(const cgroup_sources& sources);

  // On a v2 host groups with processes cannot hand controllers down: moves every process of the base (this
  // one too) to the leaf "troupe-server" and enables what there is. Does nothing on v1 and where it is done.
  // Called once by whoever starts sandboxes, never by two processes at once.
  static outcome<done> delegate(const cgroup_hierarchy& hierarchy);

  // `name` is one path segment. Nothing is made yet.
  cgroups(std::vector<cgroup_hierarchy> hierarchies, std::string name);

  // Makes the folders and writes the limits; what is there already is set again. A controller that no
  // hierarchy has is left out: ask enforces() before promising.
  outcome<done> create(const limits_spec& limits);
  bool enforces(std::string_view controller) const;
  bool can_freeze() const { return freezer() != nullptr; }

  // The files to which a process writes "0" to move itself in. Empty without hierarchies.
  std::vector<std::filesystem::path> entrances() const;

  // Waits until the kernel says that all have stopped (or go on); ETIMEDOUT after `limit`.
  outcome<done> freeze(bool frozen, std::chrono::milliseconds limit = std::chrono::seconds(2));

  // Kills everything in the groups, forks in progress included: v2's cgroup.kill, else SIGKILL until none is
  // left. Thaws first where a frozen process could not die. EBUSY when some are left at the end of `limit`.
  outcome<done> kill(std::chrono::milliseconds limit = std::chrono::seconds(5));
  std::vector<pid_t> processes() const;

  cgroup_use use() const;

  // Removes the folders; gone already is success. EBUSY while a process is left in one.
  outcome<done> remove(std::chrono::milliseconds limit = std::chrono::seconds(2));

  std::vector<std::filesystem::path> folders() const;

 private:
  std::filesystem::path folder(const cgroup_hierarchy& h) const { return h.base / "troupe" / name_; }
  const cgroup_hierarchy* with(std::string_view controller) const;
  const cgroup_hierarchy* unified() const;
  const cgroup_hierarchy* freezer() const;

  std::vector<cgroup_hierarchy> hierarchies_;
  std::string name_;
};

}  // namespace troupe::sandboxd
