#include "storage/database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "storage/change_tap.h"

namespace troupe::storage {
namespace {

constexpr int max_own_sql_length = 1024 * 1024;

// -1: there is no such file.
std::int64_t size_of(const std::filesystem::path& file) {
  struct stat info {};
  return ::stat(file.c_str(), &info) == 0 ? static_cast<std::int64_t>(info.st_size) : -1;
}

std::filesystem::path log_of(std::filesystem::path file) {
  return file += "-wal";
}

// SQLite says "unable to open database file" for everything; the operating system knows why.
int why_not_open(const std::filesystem::path& file, bool create) {
  int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    ::close(fd);
    return 0;
  }
  int reason = errno;
  if (reason == ENOENT && create &&
      ::access(file.parent_path().empty() ? "." : file.parent_path().c_str(), W_OK | X_OK) != 0)
    reason = errno;
  return reason;
}

// A log that was left behind may hold commits that the system shows and the disk does not have: a process
// killed before its sync, or a sync that failed once, which the system does not repeat. Whoever reads them
// may tell others. So they are written anew, into the file, and the empty log is synced too: the disk's older
// log would undo them.
void settle_log(database& db, sqlite3* connection) {
  if (!db.checkpoint()) return;
  sqlite3_file* log = nullptr;
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
  if (!log || !log->pMethods) return;
  if (int code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL); code != SQLITE_OK)
    raise(code, errno, sqlite3_errstr(code), "sync the emptied log", db.file());
}

}  // namespace

void configure() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Each refuses once SQLite is initialized; they only save memory and locks, so that is no failure.
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);      // connections are never shared between threads
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);     // counting takes a global lock for each allocation
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);  // a fixed cost for each connection
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0,
                   0);  // no pages allocated ahead: 20 of them for each otherwise
    sqlite3_initialize();
  });
}

database::database(const std::filesystem::path& file, const open_options& options) : file_(file) {
  storage::configure();
  auto size = size_of(file_);
  if (size < 0 && !options.create)
    throw error(
        failure::missing, 0, file_,
        fmt::format("could not open {}: there is no such file; check the path, or restore it from a backup",
                    file_.native()));
  const bool left_behind = size_of(log_of(file_)) > 0;
  // SQLite would throw such a log away, and with it all that was acknowledged.
  if (size == 0 && left_behind)
    throw error(
        failure::corrupt, SQLITE_CORRUPT, file_,
        fmt::format("could not open {}: it is empty but its log {} is not; restore both from a backup",
                    file_.native(), log_of(file_).native()));
  try {
    int flags = SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX | (options.create ? SQLite::OPEN_CREATE : 0);
    connection_ = std::make_unique<SQLite::Database>(file_.c_str(), flags,
                                                     static_cast<int>(busy_wait.count()), options.vfs);
  } catch (const SQLite::Exception& e) {
    raise(e.getExtendedErrorCode(), why_not_open(file_, options.create), e.what(), "open the database",
          file_);
  }
  sqlite3_extended_result_codes(handle(), 1);
  cache_ = std::make_unique<statement_cache>(handle(), file_);
  setup(options);
  if (left_behind && options.sync == durability::full) settle_log(*this, handle());
}

database::~database() {
  close();
}

sqlite3* database::handle() const {
  return connection_->getHandle();
}

void database::setup(const open_options& options) {
  auto* db = handle();
  // Before the first statement: a refused file is left as it was, log included.
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, static_cast<int>(max_value_size));
  sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, max_own_sql_length);
  sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);

  auto number = [&](std::string_view pragma) {
    statement s(db, pragma, file_);
    return s.step() ? s.current().get<std::int64_t>(0) : 0;
  };
  auto format = number("PRAGMA user_version");
  if (format > file_format) refuse_newer("format", format, file_format);
  bool fresh = false;
  if (number("PRAGMA application_id") != application_id) {
    if (format != 0 || number("PRAGMA schema_version") != 0)
      raise(SQLITE_NOTADB, 0, "it is an SQLite file of another program", "open the database", file_);
    fresh = true;
  }
  if (fresh) execute(fmt::format("PRAGMA page_size={}", options.page_size).c_str(), "set the page size");

  // Under `full`, SQLite's default: were the file's first page not on the disk when the log is, recovery
  // would take the file for empty and drop the log.
  execute("PRAGMA journal_mode=WAL", "turn on the write-ahead log");
  if (fresh) {
    // In the log only; the first commit that is synced takes the stamp along, and before it the file is fresh
    // again.
    execute(fmt::format("PRAGMA synchronous=OFF; BEGIN IMMEDIATE; PRAGMA application_id={}; PRAGMA "
                        "user_version={}; COMMIT",
                        application_id, file_format)
                .c_str(),
            "stamp a new file");
  }
  execute(fmt::format("PRAGMA synchronous={}; PRAGMA cache_size=-{}; PRAGMA journal_size_limit={}; "
                      "PRAGMA secure_delete=FAST",
                      options.sync == durability::full     ? "FULL"
                      : options.sync == durability::normal ? "NORMAL"
                                                           : "OFF",
                      options.cache_kib, max_wal_kept)
              .c_str(),
          "configure the connection");
  auto pages = max_wal_kept / number("PRAGMA page_size");
  sqlite3_wal_autocheckpoint(db, static_cast<int>(pages));
  sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
}

void database::refuse_newer(std::string_view what, std::int64_t have, std::int64_t known) {
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  throw error(
      failure::newer_schema, 0, file_,
      fmt::format("could not open {}: its {} has version {} and this program knows {}; use the program that "
                  "wrote the file, or a later one; the file was not touched",
                  file_.native(), what, have, known));
}

void database::close() {
  if (!connection_) return;
  rollback();
  tap_.reset();
  for (auto* s : {&begin_, &commit_, &rollback_, &savepoint_, &release_, &rollback_to_}) s->reset();
  cache_.reset();
  connection_.reset();
}

void database::execute(const char* sql, std::string_view tried) {
  if (sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) raise(handle(), tried, file_);
}

void database::script(std::string_view sql) {
  execute(std::string(sql).c_str(), "run a script");
}

std::int64_t database::changes() const {
  return sqlite3_changes64(handle());
}

std::int64_t database::last_insert_id() const {
  return sqlite3_last_insert_rowid(handle());
}

void database::simple(std::unique_ptr<statement>& s, std::string_view sql) {
  if (!s) s = std::make_unique<statement>(handle(), sql, file_);
  lease use(*s);
  use->step();
}

void database::begin() {
  simple(begin_, "BEGIN IMMEDIATE");
}

void database::commit() {
  simple(commit_, "COMMIT");
}

void database::rollback() noexcept {
  if (!in_transaction()) return;
  try {
    simple(rollback_, "ROLLBACK");
  } catch (const std::exception&) {
    // Only the transaction that is to vanish is lost; closing ends it too.
  }
}

bool database::in_transaction() const {
  return connection_ && sqlite3_get_autocommit(handle()) == 0;
}

void database::savepoint() {
  simple(savepoint_, "SAVEPOINT command");
}

void database::release() {
  simple(release_, "RELEASE command");
}

void database::rollback_to() {
  simple(rollback_to_, "ROLLBACK TO command");
  release();  // ROLLBACK TO leaves the savepoint open
}

void database::record_changes(change_sink* sink) {
  tap_.reset();
  if (sink) tap_ = std::make_unique<change_tap>(*this, handle(), *sink);
}

void database::deadline(std::chrono::steady_clock::time_point at) {
  deadline_ = at;
  sqlite3_progress_handler(
      handle(), steps_between_clock_reads,
      [](void* self) {
        auto* limit = static_cast<std::optional<std::chrono::steady_clock::time_point>*>(self);
        return *limit && std::chrono::steady_clock::now() >= **limit ? 1 : 0;
      },
      &deadline_);
}

void database::no_deadline() {
  deadline_.reset();
  sqlite3_progress_handler(handle(), 0, nullptr, nullptr);
}

void database::require_time(std::string_view sql) const {
  if (std::chrono::steady_clock::now() >= *deadline_)
    raise(SQLITE_INTERRUPT, 0, "the deadline had passed before it began", fmt::format("run «{}»", sql),
          file_);
}

bool database::checkpoint() {
  sqlite3_busy_timeout(handle(), 0);
  int code = sqlite3_wal_checkpoint_v2(handle(), "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  sqlite3_busy_timeout(handle(), static_cast<int>(busy_wait.count()));
  if (code == SQLITE_OK) return true;
  if ((code & 0xff) == SQLITE_BUSY) return false;
  raise(handle(), "move the log into the file", file_);
}

void database::compact() {
  cache_->clear();
  // SQLite attaches the new file while it writes it.
  const int attached = sqlite3_limit(handle(), SQLITE_LIMIT_ATTACHED, 1);
  const int code = sqlite3_exec(handle(), "VACUUM", nullptr, nullptr, nullptr);
  sqlite3_limit(handle(), SQLITE_LIMIT_ATTACHED, attached);
  if (code != SQLITE_OK) raise(handle(), "write the file anew", file_);
  checkpoint();
}

void database::shrink() {
  cache_->clear();
  sqlite3_db_release_memory(handle());
}

std::int64_t database::file_size() const {
  return std::max<std::int64_t>(size_of(file_), 0) + std::max<std::int64_t>(size_of(log_of(file_)), 0);
}

std::int64_t database::data_version() {
  return one<std::int64_t>("PRAGMA data_version").value_or(0);
}

bool database::moved() const {
  int answer = 0;
  sqlite3_file_control(handle(), "main", SQLITE_FCNTL_HAS_MOVED, &answer);
  return answer != 0;
}

}  // namespace troupe::storage
