// Copies of a file, and looking whether it is whole.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include "storage/database.h"
#include "storage/reader.h"

namespace troupe::storage {
namespace {

constexpr int pages_per_step = 256;  // between two calls of the caller's `progress`
constexpr int max_problems = 100;

[[noreturn]] void raise_system(int reason, std::string_view tried, const std::filesystem::path& file) {
  raise(reason == ENOSPC || reason == EDQUOT ? SQLITE_FULL : SQLITE_CANTOPEN, reason, "the system refused",
        tried, file);
}

void sync_path(const std::filesystem::path& path, std::string_view tried) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) raise_system(errno, tried, path);
  int failed = ::fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  if (failed) raise_system(failed, tried, path);
}

// The target while it is not yet whole.
class unfinished {
 public:
  explicit unfinished(const std::filesystem::path& target) : target_(target) {
    int fd = ::open(target_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) raise_system(errno, "make a backup", target_);
    ::close(fd);
  }
  ~unfinished() {
    if (kept_) return;
    std::error_code ignored;
    for (const char* suffix : {"", "-journal", "-wal", "-shm"})
      std::filesystem::remove(std::filesystem::path(target_) += suffix, ignored);
  }
  unfinished(const unfinished&) = delete;
  unfinished& operator=(const unfinished&) = delete;
  void keep() { kept_ = true; }

 private:
  std::filesystem::path target_;
  bool kept_ = false;
};

}  // namespace

namespace {

// The copy needs no log beside it: it is one file, until somebody opens it to write.
void copy(SQLite::Database& from, const std::filesystem::path& file, const std::filesystem::path& target,
          int pages, const database::progress& report) {
  auto tried = fmt::format("copy {} to a backup", file.native());
  unfinished guard(target);
  try {
    SQLite::Database copied(target.c_str(), SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX);
    SQLite::Backup backup(copied, from);
    for (;;) {
      int code = backup.executeStep(pages);
      if (code == SQLITE_DONE) break;
      if (code != SQLITE_OK) raise(code, 0, sqlite3_errstr(code), tried, target);
      if (report && !report(backup.getRemainingPageCount(), backup.getTotalPageCount()))
        raise(SQLITE_INTERRUPT, 0, "the caller stopped it", tried, target);
    }
    if (report) report(0, backup.getTotalPageCount());
  } catch (const SQLite::Exception& e) {
    raise(e.getExtendedErrorCode(), errno, e.what(), tried, target);
  }
  try {
    SQLite::Database copied(target.c_str(), SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX);
    copied.exec("PRAGMA journal_mode=DELETE");
  } catch (const SQLite::Exception& e) {
    raise(e.getExtendedErrorCode(), errno, e.what(), tried, target);
  }
  sync_path(target, tried);
  auto folder = target.parent_path();
  sync_path(folder.empty() ? "." : folder, tried);
  guard.keep();
}

}  // namespace

void database::backup_to(const std::filesystem::path& target, const progress& report) {
  if (in_transaction())
    raise_misuse("a transaction is open", fmt::format("copy {} to a backup", file_.native()), file_);
  copy(*connection_, file_, target, pages_per_step, report);
}

// In one step, which is one read transaction: a copy in several would begin anew with every commit of the
// writer.
void reader::copy_to(const std::filesystem::path& target) {
  copy(*connection_, file_, target, -1, {});
}

std::vector<std::string> database::check(check_depth depth) {
  std::vector<std::string> problems;
  try {
    auto sql = fmt::format("PRAGMA {}({})", depth == check_depth::full ? "integrity_check" : "quick_check",
                           max_problems);
    each(sql, [&](const row& r) {
      if (auto text = r.get<std::string>(0); text != "ok") problems.push_back(std::move(text));
    });
    each("PRAGMA foreign_key_check", [&](const row& r) {
      problems.push_back(fmt::format("row {} of {} refers to a row of {} that is not there",
                                     r.get<std::optional<std::int64_t>>(1).value_or(0),
                                     r.get<std::string_view>(0), r.get<std::string_view>(2)));
      return problems.size() < static_cast<std::size_t>(max_problems);
    });
  } catch (const error& e) {
    if (e.kind() != failure::corrupt) throw;
    problems.emplace_back(e.what());
  }
  return problems;
}

}  // namespace troupe::storage
