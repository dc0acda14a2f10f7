// One private SQLite file and its one writing connection. Start here.
//
// Owned by whoever owns the file (an actor, the host). One thread at a time; the owner sees to it. No other
// process and no other connection writes the file; readers (storage/reader.h) may come and go. All failures
// are thrown as `error`.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/error.h"
#include "storage/migration.h"
#include "storage/row.h"
#include "storage/statement.h"
#include "storage/value.h"

namespace SQLite {
class Database;
}

namespace troupe::storage {

// How often a statement with a deadline looks at the clock, in steps of SQLite's machine: about 50 µs.
inline constexpr int steps_between_clock_reads = 4000;

class change_sink;
class change_tap;

enum class durability {
  full,    // what was committed survives power loss: a sync per commit
  normal,  // survives a killed process; power loss may take the last commits, never the file's consistency
  off,     // for throw-away files
};

inline constexpr int default_page_size = 2048;                    // docs/performance.md says why
inline constexpr int file_format = 1;                             // PRAGMA user_version of files we write
inline constexpr int application_id = 0x54727065;                 // "Trpe"
inline constexpr std::chrono::milliseconds busy_wait{1000};       // for a lock, then failure::busy
inline constexpr std::int64_t max_value_size = 64 * 1024 * 1024;  // bytes of one value or row
inline constexpr std::int64_t max_wal_kept =
    4 * 1024 * 1024;  // bytes a write-ahead log keeps after a checkpoint

// A file carries several components (the runtime's tables and a kind's own), each with versions of its own.
struct schema {
  std::string_view component;
  std::span<const migration> steps;
};

struct open_options {
  durability sync = durability::full;
  int page_size = default_page_size;  // for a file that is created; an existing one keeps its own
  int cache_kib = 64;
  bool create = true;         // false: a file that is not there is failure::missing
  const char* vfs = nullptr;  // SQLite's name of another operating-system layer; for tests of faults
};

enum class check_depth { quick, full };

class database {
 public:
  // Opens or creates the file; its folder must exist. WAL, foreign keys on, defensive, limits set. A file of
  // a newer format is refused untouched (newer_schema), one that is no database too (corrupt).
  explicit database(const std::filesystem::path& file, const open_options& = {});
  ~database();  // rolls back what is open, closes; never throws
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  // Applies the steps that the file does not have, all of them in one transaction: all or nothing. A file
  // that has more than the program knows is newer_schema and untouched; with several schemas, all are looked
  // at before one is applied.
  void migrate(std::span<const migration> steps, std::string_view component);
  void migrate(std::span<const schema> schemas);
  int version(std::string_view component);  // 0: never migrated

  // Cached prepared statements. Arguments are integers, bool, double, text, blob, blob_view, value, nullptr,
  // or an optional of these, as many as the SQL has parameters; texts and blobs are not copied. The statement
  // is reset when the call ends, also when `f` throws. `f` may run other statements.
  template <class... Args>
  void run(std::string_view sql, const Args&... args);
  // f(const row&), returning void, or bool with false to stop.
  template <class F, class... Args>
  void each(std::string_view sql, F&& f, const Args&... args);
  // The first column of the first row; nullopt without a row, and for NULL too unless T is an optional or a
  // value.
  template <class T, class... Args>
  std::optional<T> one(std::string_view sql, const Args&... args);
  // Several statements without arguments, uncached: schema pieces, scripts of tests.
  void script(std::string_view sql);

  std::int64_t changes() const;  // rows that the last run() inserted, updated or deleted
  std::int64_t last_insert_id() const;

  // BEGIN IMMEDIATE: the write lock is taken here, not at the first write.
  void begin();
  // On failure the outcome is unknown; the transaction may still be open. Roll back, close, reopen,
  // checkpoint() and look: after a failed sync the system may show what the disk does not have, and a
  // checkpoint writes it anew.
  void commit();
  void rollback() noexcept;
  // False also after SQLite itself rolled back (full, io, out_of_memory, interrupted): ask after every failed
  // statement.
  bool in_transaction() const;

  // One level inside a transaction. Each savepoint() is ended by release() or by rollback_to(), which undoes
  // and ends it.
  void savepoint();
  void release();
  void rollback_to();

  // From now on the sink hears of every row changed in ordinary tables; nullptr ends it. Learns the tables'
  // columns now: call it after migrate().
  void record_changes(change_sink*);

  // A statement that runs at that time, or starts after it, ends with failure::interrupted. Checked every
  // few thousand steps of SQLite's machine; C++ between statements is not interrupted.
  void deadline(std::chrono::steady_clock::time_point);
  void no_deadline();

  // Closes at once; afterwards only the destructor may be called. The last connection checkpoints and removes
  // the log.
  void close();

  // Copies the file as of now to a new file, synced, itself a valid database. An existing target is
  // cannot_open. `progress` (pages left, pages in all) may return false to stop: the target is removed and
  // failure::interrupted thrown.
  using progress = std::function<bool(int remaining, int total)>;
  void backup_to(const std::filesystem::path& target, const progress& = {});

  // What is wrong with the file, in SQLite's words; empty if nothing is. Reads the whole file.
  std::vector<std::string> check(check_depth = check_depth::quick);

  // Writes the file anew without the pages that deleted rows left free: all of it or, when that fails or the
  // process ends, nothing. Takes as much free disk again as the file has.
  void compact();
  // Moves what it can from the log into the file, without waiting for readers; true if the log is now empty.
  bool checkpoint();
  // Gives back what an idle connection does not need: cached statements and pages.
  void shrink();

  std::int64_t file_size() const;  // bytes, log included
  std::int64_t data_version();     // changes when another connection has written
  bool moved() const;              // the file under this connection was renamed, replaced or deleted
  const std::filesystem::path& file() const { return file_; }

 private:
  sqlite3* handle() const;
  void setup(const open_options&);
  [[noreturn]] void refuse_newer(std::string_view what, std::int64_t have, std::int64_t known);
  void require_time(std::string_view sql) const;
  lease use(std::string_view sql) {
    if (deadline_) require_time(sql);
    return cache_->use(sql);
  }
  void simple(std::unique_ptr<statement>&, std::string_view sql);
  void execute(const char* sql, std::string_view tried);

  std::filesystem::path file_;
  std::unique_ptr<SQLite::Database> connection_;
  std::unique_ptr<statement_cache> cache_;
  std::unique_ptr<statement> begin_, commit_, rollback_, savepoint_, release_, rollback_to_;
  std::unique_ptr<change_tap> tap_;  // set while a sink is recorded
  std::optional<std::chrono::steady_clock::time_point> deadline_;
};

// Process-wide settings of SQLite for many small connections. The first `database` or `reader` calls it; call
// it yourself only if something else in the process opens SQLite before.
void configure();

// Begins in the constructor, rolls back in the destructor unless committed.
class transaction {
 public:
  explicit transaction(database& db) : db_(db) { db_.begin(); }
  ~transaction() {
    if (!done_) db_.rollback();
  }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  void commit() {
    db_.commit();
    done_ = true;
  }

 private:
  database& db_;
  bool done_ = false;
};

template <class... Args>
void database::run(std::string_view sql, const Args&... args) {
  auto used = use(sql);
  used->require_parameters(sizeof...(args));
  int index = 0;
  (used->bind(++index, args), ...);
  while (used->step()) {
  }
}

template <class F, class... Args>
void database::each(std::string_view sql, F&& f, const Args&... args) {
  auto used = use(sql);
  used->require_parameters(sizeof...(args));
  int index = 0;
  (used->bind(++index, args), ...);
  while (used->step()) {
    const row current = used->current();
    if constexpr (std::is_same_v<std::invoke_result_t<F&, const row&>, bool>) {
      if (!f(current)) return;
    } else {
      f(current);
    }
  }
}

template <class T, class... Args>
std::optional<T> database::one(std::string_view sql, const Args&... args) {
  static_assert(!std::is_same_v<T, std::string_view> && !std::is_same_v<T, blob_view>,
                "a view would outlive its row: ask for std::string or blob");
  std::optional<T> found;
  each(
      sql,
      [&](const row& r) {
        if constexpr (detail::is_optional<T>::value || std::is_same_v<T, value>) {
          found.emplace(r.get<T>(0));
        } else if (!r.is_null(0)) {
          found.emplace(r.get<T>(0));
        }
        return false;
      },
      args...);
  return found;
}

}  // namespace troupe::storage
