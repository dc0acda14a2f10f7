// Who was at work when a process ended: one slot for each thread in a mapped file, which survives the process.
//
// Recovery blames nobody else: a server that is killed from outside again and again takes no innocent actor for the cause.
// Not synced, since a loop of crashes is a matter of processes and not of power.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "runtime/key.h"

namespace troupe {

/// enter() and leave() from any thread, in pairs on one; they neither allocate nor lock.
class at_work {
 public:
  /// Reads what the last process left, then begins anew. Without the file (no room, no rights) nobody is ever blamed.
  explicit at_work(const std::filesystem::path& file);
  ~at_work();
  at_work(const at_work&) = delete;
  at_work& operator=(const at_work&) = delete;

  /// Keys of the actors in whose stretch the last process ended.
  const std::set<std::string>& interrupted() const { return interrupted_; }

  /// Marks the actor for the length of a stretch.
  class mark {
   public:
    mark(at_work& all, const key& k) : slot_(all.slot()) { write(slot_, k.str()); }
    ~mark() { clear(slot_); }
    mark(const mark&) = delete;
    mark& operator=(const mark&) = delete;

   private:
    char* slot_;
  };

 private:
  char* slot();
  static void write(char* slot, const std::string& key);
  static void clear(char* slot);

  char* slots_ = nullptr;
  std::set<std::string> interrupted_;
};

}  // namespace troupe
