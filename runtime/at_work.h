// In whose stretch a process crashed: one slot for each thread in a mapped file, which survives the process.
//
// Recovery blames nobody else: a server that is killed from outside, by the kernel for want of memory too,
// takes no actor for the cause. Not synced, since a loop of crashes is a matter of processes and not of
// power.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "runtime/key.h"

namespace troupe {

/// Marks are made on any thread; they neither allocate nor lock, but for a thread's first.
class at_work {
 public:
  /// Reads what the last process left, then begins anew. Without the file (no room, no rights) nobody is ever
  /// blamed. Looks at the crashes of this process, unless something else does already (a sanitizer, an
  /// embedding program).
  explicit at_work(const std::filesystem::path& file);
  ~at_work();
  at_work(const at_work&) = delete;
  at_work& operator=(const at_work&) = delete;

  /// Keys of the actors in whose stretch the last process crashed.
  const std::set<std::string>& crashed() const { return crashed_; }

  /// Says for the length of a stretch that this thread works for the actor.
  class mark {
   public:
    mark(at_work&, const key&);
    ~mark();
    mark(const mark&) = delete;
    mark& operator=(const mark&) = delete;
  };

 private:
  char* slots_ = nullptr;
  std::set<std::string> crashed_;
};

}  // namespace troupe
