// A disk that fails on demand: an operating-system layer of SQLite, over real files, for tests.
//
//   fault_vfs disk;
//   database db(file, {.vfs = disk.name()});
//   disk.inject({.on = operation::sync, .what = fault::io});
//
// Or a power cut: `cut_power_at(n)` ends everything at the n-th step; destroy what had files open, then
// `restart(seed)` puts on the disk what a machine could find after such a cut: what was synced, and an
// arbitrary part, in sectors of 512 bytes, of what was not.
//
// All methods may be called from any thread. Must outlive the connections that use it. One process; the layer
// sees only the files that were opened through it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "storage/testing/disk_event.h"

namespace troupe::storage::testing {

enum class operation {
  open,
  read,
  write,
  truncate,
  sync,
  remove,
  share
};  // share: growing the shared index of the log

enum class fault {
  io,    // the operation fails and changes nothing; a sync that fails leaves its data off the disk for good
  full,  // the disk is full
  torn,  // for writes: the first half arrives, then the disk is full
};

struct plan {
  operation on = operation::write;
  fault what = fault::io;
  std::uint64_t nth = 1;    // counted from now, among the matching operations
  std::uint64_t times = 1;  // how many in a row fail; `forever` until clear()
  std::string path_part{};  // only files whose path contains it

  static constexpr std::uint64_t forever = ~std::uint64_t{0};
};

enum class reach {
  by_name,     // connections that ask for it by name()
  everything,  // every connection of the process that asks for no other
};

class fault_vfs {
 public:
  explicit fault_vfs(reach = reach::by_name);  // registers itself under a name of its own
  ~fault_vfs();
  fault_vfs(const fault_vfs&) = delete;
  fault_vfs& operator=(const fault_vfs&) = delete;

  const char* name() const;

  void inject(plan);
  void clear();                          // forgets all plans; what failed stays failed
  std::uint64_t count(operation) const;  // operations so far, failed ones included
  std::uint64_t failures() const;        // operations that a plan made fail

  // Steps are the operations that change the disk: writes, truncates, syncs, removals, files created.
  std::uint64_t steps() const;
  // The n-th step from now does not happen and nothing after it does: every later operation fails. 0: never
  // mind.
  void cut_power_at(std::uint64_t nth);
  bool powered() const;

  // Keeps no account of what a disk would hold, which is faster: no restart() after this. Before any file is
  // open.
  void expect_no_power_cut();

  // From now on every event of every file goes into the record too, with what lies in `folder` now; null ends
  // it. Before any file is open.
  void record(disk_record*, const std::filesystem::path& folder = {});
  // Files that somebody moved or deleted without SQLite, and synced the folder: gone from the disk.
  void notice_moved_files();

  // After a cut, with every connection closed: rewrites the files as the disk has them and turns the power
  // on. The same seed makes the same choice; without_unsynced keeps exactly what was synced.
  void restart(std::uint64_t seed);
  static constexpr std::uint64_t without_unsynced = 0;

  struct state;

 private:
  std::unique_ptr<state> state_;
};

}  // namespace troupe::storage::testing
