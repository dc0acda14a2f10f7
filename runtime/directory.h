// The host's own file: an index over the actors' files, and the recovery list.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/data_lock.h"
#include "runtime/key.h"
#include "runtime/topic.h"
#include "storage/database.h"

namespace troupe {

struct directory_entry {
  revision_id at;
  std::uint64_t turn = 0;
  /// Why it was quarantined; empty when it is not.
  std::string quarantined;
  bool creating = false;
  /// Whether `at` and `turn` are the actor's, as long as it sleeps.
  bool trusted = false;
};

/// Thread-safe: one connection, one lock, short transactions. Throws storage::error.
class directory {
 public:
  /// Takes the lock of the data folder first; throws data_folder_in_use.
  directory(const std::filesystem::path& data, storage::durability);
  ~directory();

  std::filesystem::path folder(const key&) const;
  std::filesystem::path file(const key&) const;

  std::optional<directory_entry> find(const key&);
  bool has_below(const key&);
  std::uint64_t count();

  /// Before any file of the actor exists.
  void creating(const key&, timestamp now);
  /// Its file is there; also adopts a file that had no row.
  void live(const key&, const revision_id&, timestamp now);
  /// Durable before the first turn that leaves an obligation commits.
  void awake(const key&);
  /// Its file is closed. The row of the recovery list goes in the same transaction.
  void asleep(const key&, const revision_id&, std::uint64_t turn, timestamp now,
              std::optional<std::int64_t> next_timer);
  /// Its file is closed but it keeps obligations: a clean stop.
  void stopped(const key&, const revision_id&, std::uint64_t turn, timestamp now);
  void forget(const key&);
  void quarantine(const key&, const std::string& why);
  bool release_quarantined(const key&);
  std::size_t quarantined();

  /// The recovery list, and for each how many processes in a row crashed while it was at work. `crashed`:
  /// those of the last one; they are woken too, so that the one whose timer rings is found out.
  std::vector<std::pair<key, int>> recover(const std::set<std::string>& crashed);
  /// Sleeping actors whose timer is due; clears their alarm, they read their own file.
  std::vector<key> due(timestamp now, std::size_t limit);

  /// The versions of tables that files may have, by component.
  std::map<std::string, int> components();
  void components(const std::map<std::string, int>&);

  /// All files are closed: what the rows say holds.
  void clean_end();

  /// Moves an actor's folder to DATA/trash; what is there under the same name gets out of the way.
  void to_trash(const key&, timestamp now);
  /// Removes what has been in the trash for longer than `kept`.
  void empty_trash(timestamp now, std::chrono::hours kept);

  const std::filesystem::path& data() const { return data_; }
  std::filesystem::path own_file() const { return data_ / "host.sqlite"; }

 private:
  const std::filesystem::path data_;
  const data_lock lock_;
  std::mutex mutex_;
  storage::database db_;
  std::int64_t run_ = 0, trusted_from_ = 0;
};

/// Creates a folder and its missing parents, each one's parent synced, bottom up.
void make_durable_folders(const std::filesystem::path& folder);
void sync_folder(const std::filesystem::path& folder);
/// All that was written to the file system of a folder is on its disk.
void sync_tree(const std::filesystem::path& folder);

}  // namespace troupe
