#include "runtime/directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "runtime/data_lock.h"
#include "runtime/host.h"
#include "runtime/tables.h"

namespace troupe {

namespace fs = std::filesystem;

data_lock::data_lock(const fs::path& data) {
  make_durable_folders(data);
  const auto path = data / "lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "open " + path.string());
  if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  const int why = errno;
  ::close(fd_);
  if (why != EWOULDBLOCK) throw std::system_error(why, std::generic_category(), "lock " + path.string());
  throw data_folder_in_use("the data folder " + data.string() +
                           " is in use by another server; stop that one, or give another folder with --data");
}

data_lock::~data_lock() {
  ::close(fd_);
}

directory::directory(const fs::path& data, storage::durability sync)
    : data_(fs::absolute(data)),
      lock_(data_),
      db_(data_ / "host.sqlite", storage::open_options{.sync = sync, .cache_kib = 1024}) {
  db_.migrate(directory_tables(), "directory");
  storage::transaction t(db_);
  db_.run(
      "UPDATE runs SET run = run + 1, trusted_from = CASE clean WHEN 1 THEN trusted_from ELSE run + 1 END, "
      "clean = 0");
  t.commit();
  db_.each("SELECT run, trusted_from FROM runs", [&](const storage::row& r) {
    run_ = r.get<std::int64_t>(0);
    trusted_from_ = r.get<std::int64_t>(1);
  });
}

void directory::clean_end() {
  std::lock_guard lock(mutex_);
  db_.run("UPDATE runs SET clean = 1");
}

std::map<std::string, int> directory::components() {
  std::lock_guard lock(mutex_);
  std::map<std::string, int> all;
  db_.each("SELECT name, version FROM components", [&](const storage::row& r) {
    all[r.get<std::string>(0)] = static_cast<int>(r.get<std::int64_t>(1));
  });
  return all;
}

void directory::components(const std::map<std::string, int>& all) {
  std::lock_guard lock(mutex_);
  storage::transaction t(db_);
  for (const auto& [name, version] : all)
    db_.run("INSERT OR REPLACE INTO components VALUES (?, ?)", name, version);
  t.commit();
}

directory::~directory() = default;

fs::path directory::folder(const key& k) const {
  return data_ / k.str();
}
fs::path directory::file(const key& k) const {
  return folder(k) / "actor.sqlite";
}

std::optional<directory_entry> directory::find(const key& k) {
  std::lock_guard lock(mutex_);
  std::optional<directory_entry> found;
  db_.each(
      "SELECT incarnation, revision, turn, quarantined, state, run FROM actors WHERE key = ?",
      [&](const storage::row& r) {
        found = directory_entry{{r.get<std::string>(0), static_cast<std::uint64_t>(r.get<std::int64_t>(1))},
                                static_cast<std::uint64_t>(r.get<std::int64_t>(2)),
                                r.get<std::optional<std::string>>(3).value_or(""),
                                r.get<std::int64_t>(4) == 0,
                                r.get<std::int64_t>(5) >= trusted_from_};
      },
      k.str());
  return found;
}

bool directory::has_below(const key& k) {
  std::lock_guard lock(mutex_);
  // '0' is the character after '/': everything between is below the key.
  return db_
      .one<std::int64_t>("SELECT 1 FROM actors WHERE key > ? AND key < ? LIMIT 1", k.str() + '/',
                         k.str() + '0')
      .has_value();
}

std::uint64_t directory::count() {
  std::lock_guard lock(mutex_);
  return static_cast<std::uint64_t>(db_.one<std::int64_t>("SELECT count(*) FROM actors").value_or(0));
}

void directory::creating(const key& k, timestamp now) {
  std::lock_guard lock(mutex_);
  db_.run("INSERT OR IGNORE INTO actors VALUES (?, ?, 0, '', 0, 0, ?, ?, NULL, NULL, 0)", k.str(), k.kind(),
          to_ms(now), to_ms(now));
}

void directory::live(const key& k, const revision_id& at, timestamp now) {
  std::lock_guard lock(mutex_);
  db_.run(
      "INSERT INTO actors VALUES (?, ?, 1, ?, 0, ?, ?, ?, NULL, NULL, 0) "
      "ON CONFLICT (key) DO UPDATE SET state = 1, incarnation = excluded.incarnation, revision = "
      "excluded.revision",
      k.str(), k.kind(), at.incarnation, static_cast<std::int64_t>(at.revision), to_ms(now), to_ms(now));
}

void directory::awake(const key& k) {
  std::lock_guard lock(mutex_);
  db_.run("INSERT OR IGNORE INTO awake VALUES (?, 0)", k.str());
}

void directory::asleep(const key& k, const revision_id& at, std::uint64_t turn, timestamp now,
                       std::optional<std::int64_t> next_timer) {
  std::lock_guard lock(mutex_);
  storage::transaction t(db_);
  db_.run(
      "UPDATE actors SET incarnation = ?, turn = ?, revision = ?, last_active = ?, next_timer = ?, run = ? "
      "WHERE key = ?",
      at.incarnation, static_cast<std::int64_t>(turn), static_cast<std::int64_t>(at.revision), to_ms(now),
      next_timer, run_, k.str());
  db_.run("DELETE FROM awake WHERE key = ?", k.str());
  t.commit();
}

void directory::stopped(const key& k, const revision_id& at, std::uint64_t turn, timestamp now) {
  std::lock_guard lock(mutex_);
  storage::transaction t(db_);
  db_.run("UPDATE actors SET incarnation = ?, turn = ?, revision = ?, last_active = ?, run = ? WHERE key = ?",
          at.incarnation, static_cast<std::int64_t>(turn), static_cast<std::int64_t>(at.revision), to_ms(now),
          run_, k.str());
  db_.run("UPDATE awake SET attempts = 0 WHERE key = ?", k.str());
  t.commit();
}

void directory::forget(const key& k) {
  std::lock_guard lock(mutex_);
  storage::transaction t(db_);
  db_.run("DELETE FROM awake WHERE key = ?", k.str());
  db_.run("DELETE FROM actors WHERE key = ?", k.str());
  t.commit();
}

void directory::quarantine(const key& k, const std::string& why) {
  std::lock_guard lock(mutex_);
  db_.run("UPDATE actors SET quarantined = ? WHERE key = ?", why, k.str());
}

bool directory::release_quarantined(const key& k) {
  std::lock_guard lock(mutex_);
  storage::transaction t(db_);
  db_.run("UPDATE actors SET quarantined = NULL WHERE key = ? AND quarantined IS NOT NULL", k.str());
  const bool was = db_.changes() > 0;
  db_.run("UPDATE awake SET attempts = 0 WHERE key = ?", k.str());
  t.commit();
  return was;
}

std::size_t directory::quarantined() {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      db_.one<std::int64_t>("SELECT count(*) FROM actors WHERE quarantined IS NOT NULL").value_or(0));
}

std::vector<std::pair<key, int>> directory::recover(const std::set<std::string>& crashed) {
  std::lock_guard lock(mutex_);
  std::vector<std::pair<key, int>> list;
  storage::transaction t(db_);
  for (const auto& k : crashed) {
    db_.run("INSERT OR IGNORE INTO awake SELECT key, 0 FROM actors WHERE key = ?", k);
    db_.run("UPDATE awake SET attempts = -attempts - 1 WHERE key = ?", k);
  }
  // Whoever it was not this time begins anew.
  db_.run("UPDATE awake SET attempts = max(-attempts, 0) WHERE attempts <> 0");
  db_.each("SELECT key, attempts FROM awake", [&](const storage::row& r) {
    if (auto k = key::parse(r.get<std::string_view>(0))) {
      list.emplace_back(std::move(*k), static_cast<int>(r.get<std::int64_t>(1)));
    }
  });
  t.commit();
  return list;
}

std::vector<key> directory::due(timestamp now, std::size_t limit) {
  std::lock_guard lock(mutex_);
  std::vector<key> keys;
  db_.each(
      "SELECT key FROM actors WHERE next_timer <= ? AND quarantined IS NULL ORDER BY next_timer LIMIT ?",
      [&](const storage::row& r) {
        if (auto k = key::parse(r.get<std::string_view>(0))) keys.push_back(std::move(*k));
      },
      to_ms(now), static_cast<std::int64_t>(limit));
  return keys;
}

void directory::to_trash(const key& k, timestamp now) {
  auto name = std::to_string(to_ms(now)) + "-" + k.str();
  std::ranges::replace(name, '/', '!');
  const auto trash = data_ / "trash";
  make_durable_folders(trash);
  auto target = trash / name;
  for (int n = 2; fs::exists(target); ++n) target = trash / (name + "." + std::to_string(n));
  std::error_code ec;
  fs::rename(folder(k), target, ec);
  if (ec && ec != std::errc::no_such_file_or_directory) {
    throw std::system_error(ec, "move " + folder(k).string() + " to the trash");
  }
  sync_folder(trash);
  sync_folder(folder(k).parent_path());
}

void directory::empty_trash(timestamp now, std::chrono::hours kept) {
  std::error_code ec;
  for (const auto& e : fs::directory_iterator(data_ / "trash", ec)) {
    const auto then = std::strtoll(e.path().filename().c_str(), nullptr, 10);
    if (then > 0 && from_ms(then) + kept < now) fs::remove_all(e.path(), ec);
  }
}

namespace {

void sync_by(int (*call)(int), const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "open " + folder.string());
  const int failed = call(fd) ? errno : 0;
  ::close(fd);
  if (failed) throw std::system_error(failed, std::generic_category(), "sync " + folder.string());
}

}  // namespace

void sync_folder(const fs::path& folder) {
  sync_by(::fsync, folder);
}
void sync_tree(const fs::path& folder) {
  sync_by(::syncfs, folder);
}

void make_durable_folders(const fs::path& folder) {
  if (fs::is_directory(folder)) return;
  const auto parent = folder.parent_path();
  if (!parent.empty() && parent != folder) make_durable_folders(parent);
  std::error_code ec;
  if (fs::create_directory(folder, ec)) {
    fs::permissions(folder, fs::perms::owner_all);
    if (!parent.empty()) sync_folder(parent);
  } else if (ec && !fs::is_directory(folder)) {
    throw std::system_error(ec, "make folder " + folder.string());
  }
}

}  // namespace troupe
