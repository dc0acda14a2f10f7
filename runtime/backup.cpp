#include "runtime/backup.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>

#include <nlohmann/json.hpp>

#include "runtime/data_lock.h"
#include "runtime/directory.h"
#include "runtime/host.h"
#include "runtime/host_core.h"
#include "runtime/verify.h"
#include "storage/reader.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr int backup_format = 1;
constexpr const char* manifest = "backup.json";
constexpr std::string_view unfinished = ".unfinished-";

struct place_in_time {
  std::string incarnation;
  std::int64_t turn = 0;
  bool operator==(const place_in_time&) const = default;
};

std::string now_as_name() {
  const auto now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H-%M-%SZ", &utc);
  return text.data();
}

bool is_own_file(const fs::path& file) {
  const auto name = file.filename().string();
  return name.starts_with("actor.sqlite") || name.starts_with('.');
}

std::optional<place_in_time> where(const fs::path& file) {
  if (!fs::exists(file)) return std::nullopt;
  storage::reader db(file);
  const auto rows = db.run("SELECT incarnation, turn FROM rt_meta").rows;
  if (rows.empty()) return std::nullopt;
  return place_in_time{std::get<std::string>(rows[0][0]), std::get<std::int64_t>(rows[0][1])};
}

class copier {
 public:
  copier(const fs::path& data, const fs::path& place, const backup_options& o)
      : data_(fs::absolute(data)), place_(fs::absolute(place)), options_(o) {
    make_durable_folders(place_);
    lock_.emplace(place_);
    for (const auto& e : fs::directory_iterator(place_)) {
      if (e.path().filename().string().starts_with(unfinished)) fs::remove_all(e.path());
    }
    if (const auto all = backups_in(place_); !all.empty()) before_ = all.back() / "data";
    name_ = now_as_name();
    for (int n = 2; fs::exists(place_ / name_); ++n) name_ = now_as_name() + '.' + std::to_string(n);
    work_ = place_ / (std::string(unfinished) + name_);
    fs::create_directories(work_ / "data");
  }

  void copy_all() {
    const auto keys = actors_in(data_, options_.kinds);
    for (std::size_t n = 0; n < keys.size(); ++n) {
      report("actors", n, keys.size());
      copy(keys[n]);
    }
    report("actors", keys.size(), keys.size());
    for (const auto& name : options_.also) {
      if (!fs::exists(data_ / name)) continue;
      fs::create_directories((work_ / "data" / name).parent_path());
      fs::copy(data_ / name, work_ / "data" / name,
               fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    }
  }

  // Those that changed since copy_all() looked at them.
  void copy_again(const std::set<key>& changed) {
    std::size_t n = 0;
    for (const auto& k : changed) {
      report("actors that changed meanwhile", n++, changed.size());
      fs::remove_all(work_ / "data" / k.str() / "actor.sqlite");
      taken_.erase(k);
      copy(k);
    }
  }

  backup_result finish() {
    result_.actors = taken_.size();
    result_.copied =
        static_cast<std::size_t>(std::ranges::count(taken_, true, [](const auto& t) { return t.second; }));
    result_.unchanged = result_.actors - result_.copied;
    result_.at = place_ / name_;
    nlohmann::json about{
        {"format", backup_format}, {"made_at", to_ms(system_clock().now())}, {"actors", result_.actors}};
    for (const auto& k : result_.damaged) about["damaged"].push_back(k.str());
    std::ofstream(work_ / manifest) << about.dump() << '\n';
    sync_tree(work_);
    fs::rename(work_, result_.at);
    sync_folder(place_);
    return result_;
  }

  backup_result& result() { return result_; }

 private:
  void report(std::string_view what, std::size_t done, std::size_t all) const {
    if (options_.progress && !options_.progress(what, done, all))
      throw storage::error(storage::failure::interrupted, 0, work_,
                           "the backup to " + place_.string() + " was stopped");
  }

  void copy(const key& k) {
    const auto from = data_ / k.str(), to = work_ / "data" / k.str();
    const auto earlier = before_.empty() ? fs::path() : before_ / k.str();
    try {
      const auto is = where(from / "actor.sqlite");
      fs::create_directories(to);
      if (!earlier.empty() && is && where(earlier / "actor.sqlite") == is) {
        fs::create_hard_link(earlier / "actor.sqlite", to / "actor.sqlite");
        taken_[k] = false;
      } else {
        storage::reader(from / "actor.sqlite").copy_to(to / "actor.sqlite");
        taken_[k] = true;
        result_.bytes += fs::file_size(to / "actor.sqlite");
      }
    } catch (const storage::error& e) {
      if (e.kind() == storage::failure::missing) return;  // deleted meanwhile
      if (e.kind() != storage::failure::corrupt) throw;
      copy_damaged(k);
    }
    // What drivers keep beside it: saved work, say.
    std::error_code ec;
    for (const auto& e : fs::directory_iterator(from, ec)) {
      const auto name = e.path().filename();
      if (!e.is_regular_file(ec) || is_own_file(e.path()) || fs::exists(to / name)) continue;
      const bool same = !earlier.empty() && fs::exists(earlier / name) &&
                        fs::file_size(earlier / name) == e.file_size() &&
                        fs::last_write_time(earlier / name) == e.last_write_time();
      if (same) {
        fs::create_hard_link(earlier / name, to / name);
      } else if (fs::copy_file(e.path(), to / name, ec); !ec) {
        fs::last_write_time(to / name, e.last_write_time(), ec);
        result_.bytes += e.file_size();
      }
    }
  }

  // One broken file is no reason to be without a copy of all the others.
  void copy_damaged(const key& k) {
    const auto from = data_ / k.str(), to = work_ / "data" / k.str();
    fs::create_directories(to);
    for (const auto* name : {"actor.sqlite", "actor.sqlite-wal"})
      if (fs::exists(from / name))
        fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing);
    taken_[k] = true;
    result_.bytes += fs::file_size(to / "actor.sqlite");
    std::erase(result_.damaged, k);
    result_.damaged.push_back(k);
  }

  const fs::path data_, place_;
  const backup_options& options_;
  std::optional<data_lock> lock_;
  fs::path before_, work_;
  std::string name_;
  std::map<key, bool> taken_;  // true: copied, false: linked
  backup_result result_;
};

class held_delivery {
 public:
  explicit held_delivery(host_core& c) : core_(c), since_(std::chrono::steady_clock::now()) {
    core_.hold_delivery();
  }
  ~held_delivery() { core_.resume_delivery(); }
  std::chrono::milliseconds lasted() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - since_);
  }

 private:
  host_core& core_;
  const std::chrono::steady_clock::time_point since_;
};

}  // namespace

backup_result back_up(host& h, const fs::path& place, const backup_options& o) {
  std::mutex mutex;
  std::set<key> changed;
  const auto watch = h.watch_turns("", [&](const turn_event& e) {
    auto k = key::parse(e.actor);
    std::lock_guard lock(mutex);
    if (k) changed.insert(std::move(*k));
  });
  copier c(h.data(), place, o);
  c.copy_all();
  {
    held_delivery held(h.core());
    std::set<key> again;
    {
      std::lock_guard lock(mutex);
      again = changed;
    }
    c.copy_again(again);
    c.result().held = held.lasted();
  }
  return c.finish();
}

backup_result back_up(const fs::path& data, const fs::path& place, const backup_options& o) {
  if (!fs::exists(data / "host.sqlite")) {
    throw storage::error(storage::failure::missing, 0, data,
                         data.string() + " is no data folder: it has no host.sqlite");
  }
  const data_lock lock(data);
  copier c(data, place, o);
  c.copy_all();
  return c.finish();
}

std::vector<fs::path> backups_in(const fs::path& place) {
  std::vector<fs::path> all;
  std::error_code ec;
  for (const auto& e : fs::directory_iterator(place, ec)) {
    if (!e.path().filename().string().starts_with('.') && fs::exists(e.path() / manifest))
      all.push_back(e.path());
  }
  std::ranges::sort(all);
  return all;
}

nlohmann::json to_json(const backup_result& r) {
  auto damaged = nlohmann::json::array();
  for (const auto& k : r.damaged) damaged.push_back(k.str());
  return {{"at", r.at.string()},      {"actors", r.actors}, {"copied", r.copied},
          {"unchanged", r.unchanged}, {"bytes", r.bytes},   {"damaged", std::move(damaged)},
          {"held_ms", r.held.count()}};
}

}  // namespace troupe
