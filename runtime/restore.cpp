#include <fstream>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "runtime/backup.h"
#include "runtime/directory.h"
#include "runtime/host.h"
#include "runtime/verify.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;
using names = std::map<std::string, std::string>;

constexpr int known_backup_format = 1;

[[noreturn]] void refuse_restore(const fs::path& what, const std::string& why) {
  throw storage::error(storage::failure::cannot_open, 0, what,
                       "could not restore " + what.string() + ": " + why);
}

fs::path backup_meant(const fs::path& given) {
  if (fs::exists(given / "backup.json")) return given;
  const auto all = backups_in(given);
  if (all.empty()) refuse_restore(given, "it is no backup and holds none; `troupe backup` makes them");
  return all.back();
}

// Checks the format; answers whose files were broken when the backup was made.
std::set<key> damaged_in(const fs::path& backup) {
  std::ifstream file(backup / "backup.json");
  const auto about = nlohmann::json::parse(file, nullptr, false);
  if (!about.is_object() || about.value("format", 0) != known_backup_format) {
    refuse_restore(
        backup,
        "its backup.json is not of this version of troupe; use the one that wrote it, or a later one");
  }
  std::set<key> damaged;
  for (const auto& k : about.value("damaged", nlohmann::json::array()))
    if (auto parsed = key::parse(k.get<std::string>())) damaged.insert(std::move(*parsed));
  return damaged;
}

// All columns of `table` that hold incarnations of others.
void rename_in(storage::database& db, const char* select, const char* update, const names& now) {
  std::vector<std::string> seen;
  db.each(select, [&](const storage::row& r) { seen.push_back(r.get<std::string>(0)); });
  for (const auto& old : seen) {
    if (const auto it = now.find(old); it != now.end()) db.run(update, it->second, old);
  }
}

struct resumed {
  revision_id at;
  std::uint64_t turn = 0;
  std::int64_t created_at = 0;
  bool has_work = false;
  std::optional<std::int64_t> next_timer;
};

// The same actor in another life, and everybody it writes to too.
resumed begin_new_life(const fs::path& file, const names& now) {
  storage::database db(file, {.create = false});
  storage::transaction t(db);
  rename_in(db, "SELECT DISTINCT incarnation FROM rt_marks",
            "UPDATE rt_marks SET incarnation = ? WHERE incarnation = ?", now);
  rename_in(db, "SELECT DISTINCT incarnation FROM rt_outbox WHERE incarnation <> ''",
            "UPDATE rt_outbox SET incarnation = ? WHERE incarnation = ?", now);
  rename_in(db, "SELECT incarnation FROM rt_meta", "UPDATE rt_meta SET incarnation = ? WHERE incarnation = ?",
            now);
  resumed r;
  db.each("SELECT incarnation, revision, turn, created_at, retired FROM rt_meta",
          [&](const storage::row& row) {
            r.at = {row.get<std::string>(0), static_cast<std::uint64_t>(row.get<std::int64_t>(1))};
            r.turn = static_cast<std::uint64_t>(row.get<std::int64_t>(2));
            r.created_at = row.get<std::int64_t>(3);
            r.has_work = row.get<bool>(4);
          });
  for (const auto* sql : {"SELECT 1 FROM rt_outbox LIMIT 1", "SELECT 1 FROM rt_effects LIMIT 1",
                          "SELECT 1 FROM rt_feeds LIMIT 1"})
    if (db.one<std::int64_t>(sql)) r.has_work = true;
  r.next_timer = db.one<std::int64_t>("SELECT min(due) FROM rt_timers");
  t.commit();
  return r;
}

}  // namespace

restore_result restore(const fs::path& given, const fs::path& wanted, const backup_options& o) {
  const auto backup = backup_meant(given);
  const auto damaged = damaged_in(backup);
  const auto data = fs::absolute(wanted).lexically_normal();
  if (fs::exists(data) && !fs::is_empty(data))
    refuse_restore(data, "there is something in that folder already; name one that is not there");
  // Beside it, so that it appears whole or not at all. What an earlier try left is of no use.
  auto work = data;
  work += ".restoring";
  fs::remove_all(work);
  make_durable_folders(work);
  fs::copy(backup / "data", work, fs::copy_options::recursive);

  restore_result result{backup, data};
  const auto keys = actors_in(work, o.kinds);
  const auto report = [&](std::string_view what, std::size_t done) {
    if (o.progress && !o.progress(what, done, keys.size()))
      throw storage::error(storage::failure::interrupted, 0, data,
                           "the restore to " + data.string() + " was stopped");
  };
  names now;
  for (const auto& k : keys) {
    if (damaged.contains(k)) continue;
    storage::reader db(work / k.str() / "actor.sqlite");
    for (const auto& row : db.run("SELECT incarnation FROM rt_meta").rows)
      now[std::get<std::string>(row[0])] = random_ids().incarnation();
  }
  {
    directory dir(work, storage::durability::normal);
    for (std::size_t n = 0; n < keys.size(); ++n) {
      report("actors", n);
      if (damaged.contains(keys[n])) {
        dir.live(keys[n], {random_ids().incarnation(), 0}, system_clock().now());
        dir.quarantine(keys[n], "its file was broken already when the backup was made");
        continue;
      }
      const auto r = begin_new_life(dir.file(keys[n]), now);
      dir.live(keys[n], r.at, from_ms(r.created_at));
      if (r.has_work)
        dir.awake(keys[n]);
      else
        dir.asleep(keys[n], r.at, r.turn, from_ms(r.created_at), r.next_timer);
      result.with_work += r.has_work;
    }
    dir.clean_end();
  }
  report("actors", keys.size());
  result.actors = keys.size();
  sync_tree(work);
  fs::remove(data);
  fs::rename(work, data);
  sync_folder(data.parent_path());
  return result;
}

nlohmann::json to_json(const restore_result& r) {
  return {
      {"from", r.from.string()}, {"data", r.data.string()}, {"actors", r.actors}, {"with_work", r.with_work}};
}

}  // namespace troupe
