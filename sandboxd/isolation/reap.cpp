#include "sandboxd/isolation/reap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "sandboxd/isolation/cgroups.h"
#include "sandboxd/isolation/record.h"
#include "sandboxd/isolation/remove_tree.h"

namespace troupe::sandboxd {
namespace {

namespace fs = std::filesystem;

// The hierarchies as they were when the groups were made: the server may have been started again from
// elsewhere. The recorded folders say where; what this process would use is tried as well, for a record that
// was never written.
std::vector<std::vector<cgroup_hierarchy>> candidates(const supervisor_record* record) {
  auto here = cgroups::find(cgroup_sources::of_this_process());
  std::vector<std::vector<cgroup_hierarchy>> out;
  if (record && !record->groups.empty()) {
    std::vector<cgroup_hierarchy> there;
    for (const auto& folder : record->groups) {
      const fs::path path = folder;
      if (path.parent_path().filename() != "troupe") continue;  // not of our making
      cgroup_hierarchy h;
      h.base = path.parent_path().parent_path();
      std::error_code ec;
      h.version = fs::exists(path / "cgroup.events", ec) ? 2 : 1;
      if (fs::exists(path / "freezer.state", ec)) h.controllers = {"freezer"};
      there.push_back(std::move(h));
    }
    out.push_back(std::move(there));
  }
  out.push_back(std::move(here));
  return out;
}

}  // namespace

outcome<reaped> reap(const sandbox_spec& spec, bool files) {
  reaped out;
  std::error_code ec;
  const auto record = read_record(record_file(spec));
  const bool ours = record && record->nonce == spec.nonce;
  out.was_there = fs::exists(spec.run(), ec) || fs::exists(spec.work(), ec);

  // What a v1 freezer holds cannot die; v2 does not mind.
  for (auto& hierarchies : candidates(ours ? &*record : nullptr)) {
    cgroups groups(std::move(hierarchies), "sb-" + spec.nonce);
    if (groups.can_freeze() && !groups.processes().empty())
      (void)groups.freeze(false, std::chrono::milliseconds(100));
  }
  if (ours) {
    // The supervisor first: with it go bwrap and PID 1, and with PID 1 the kernel ends the rest. The others
    // by name all the same: each may have outlived what should have taken it along.
    for (const auto& who : {record->supervisor, record->bwrap, record->init}) {
      if (who.pid == 0) continue;
      if (hold(who)) out.was_alive = true;
      if (!kill_and_wait(who, reap_limit))
        return os_error{EBUSY, "process " + std::to_string(who.pid) + " of sandbox " + spec.key +
                                   " did not die within 10 s after SIGKILL"};
    }
  }
  for (auto& hierarchies : candidates(ours ? &*record : nullptr)) {
    cgroups groups(std::move(hierarchies), "sb-" + spec.nonce);
    if (!groups.processes().empty()) out.was_alive = true;
    if (auto killed = groups.kill(); !killed) return killed.error();
    if (auto removed = groups.remove(); !removed) return removed.error();
  }
  if (fs::exists(spec.run(), ec)) {
    // A supervisor that had not yet written its record holds the lock; it gives up when it finds its intent
    // withdrawn.
    if (auto lock = take_lock(lock_file(spec)); !lock && lock.error().number == EWOULDBLOCK && !ours)
      return os_error{EBUSY, "a supervisor of sandbox " + spec.key + " is just starting; try again"};
  }
  if (fs::remove(spec.socket, ec)) out.was_there = true;
  if (!files) return out;

  for (const auto& folder : {spec.work(), spec.home(), spec.net()}) {
    if (auto removed = remove_tree(folder); !removed) return removed.error();
  }
  const auto intent = intent_file(spec);
  for (fs::directory_iterator it(spec.run(), ec), end; !ec && it != end; it.increment(ec))
    if (it->path() != intent) {
      if (auto removed = remove_tree(it->path()); !removed) return removed.error();
    }
  if (auto removed = remove_tree(spec.run()); !removed) return removed.error();
  ::rmdir(spec.folder.c_str());  // stays while it holds what is not ours
  return out;
}

}  // namespace troupe::sandboxd
