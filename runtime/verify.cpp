#include "runtime/verify.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "runtime/kind.h"
#include "runtime/upgrade.h"

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes longest_check{30};
constexpr std::size_t most_rows = 50'000'000;
constexpr std::size_t most_readers = 64;

std::int64_t whole_number(const storage::value& v) {
  const auto* n = std::get_if<std::int64_t>(&v);
  return n ? *n : 0;
}

std::string words(const storage::value& v) {
  const auto* s = std::get_if<std::string>(&v);
  return s ? *s : std::string();
}

// What a sender says of its messages to one target in one lane.
struct sent_to {
  std::int64_t last = 0;     // the last number that it gave out
  std::int64_t oldest = 0;   // the oldest one that it does not know settled; 0: none
  std::int64_t waiting = 0;  // how many those are
};
// What a target says of one sender in one lane.
struct mark {
  std::string incarnation;
  std::int64_t number = 0;
};
using pair_id = std::tuple<std::string, std::string, std::int64_t>;  // sender, target, lane

class inspection {
 public:
  inspection(const fs::path& data, const verify_options& o)
      : data_(data), options_(o), keys_(actors_in(data, o.kinds)) {}

  verify_result run() {
    // Numbers only grow: a mark that is read before what was sent cannot be above it, and one that is read
    // after what was settled cannot be below.
    for (std::size_t n = 0; n < keys_.size(); ++n) {
      report_progress(n);
      look(keys_[n], [&](storage::reader& db) {
        whole(keys_[n], db);
        read_marks(keys_[n], db, before_);
      });
    }
    for (const auto& k : keys_) look(k, [&](storage::reader& db) { read_sent(k, db); });
    for (const auto& k : keys_) look(k, [&](storage::reader& db) { read_marks(k, db, after_); });
    compare_pairs();
    compare_directory();
    report_progress(keys_.size());
    result_.actors = keys_.size();
    return std::move(result_);
  }

 private:
  fs::path file(const key& k) const { return data_ / k.str() / "actor.sqlite"; }

  void broken(const std::string& actor, std::string what) {
    result_.findings.push_back({actor, std::move(what)});
  }

  void report_progress(std::size_t n) const {
    if (options_.progress && !options_.progress(n, keys_.size())) {
      throw storage::error(storage::failure::interrupted, 0, data_,
                           "the check of " + data_.string() + " was stopped");
    }
  }

  storage::read_limits limits() const {
    return {longest_check, most_rows, std::size_t{1} << 40, options_.vfs};
  }

  template <class F>
  void look(const key& k, F&& f) {
    if (unreadable_.contains(k.str())) return;
    try {
      auto& kept = readers_[k.str()];
      if (!kept) kept = std::make_unique<storage::reader>(file(k), limits());
      f(*kept);
      if (keys_.size() > most_readers) readers_.clear();
    } catch (const storage::error& e) {
      readers_.erase(k.str());
      if (e.kind() == storage::failure::missing) return;  // deleted meanwhile
      unreadable_.insert(k.str());
      broken(k.str(), e.what());
    }
  }

  void whole(const key& k, storage::reader& db) {
    std::error_code ec;
    result_.bytes += fs::file_size(file(k), ec);
    const auto pragma =
        options_.depth == storage::check_depth::full ? "PRAGMA integrity_check" : "PRAGMA quick_check";
    for (const auto& row : db.run(pragma).rows) {
      if (const auto text = words(row[0]); text != "ok") broken(k.str(), text);
    }
    for (const auto& row : db.run("PRAGMA foreign_key_check").rows) {
      broken(k.str(),
             "a row of " + words(row[0]) + " refers to a row of " + words(row[2]) + " that is not there");
    }
    const auto meta = db.run("SELECT key, incarnation, turn, revision FROM rt_meta").rows;
    if (meta.empty()) return;  // its creation was cut off; it is finished when it wakes
    if (words(meta[0][0]) != k.str()) broken(k.str(), "its file says that it is " + words(meta[0][0]));
    incarnations_[k.str()] = words(meta[0][1]);
    turns_[k.str()] = whole_number(meta[0][2]);
    if (whole_number(meta[0][3]) > whole_number(meta[0][2]))
      broken(k.str(), "its revision is above its turn");
    for (const auto& row : db.run("SELECT max(turn) FROM rt_inbox").rows) {
      if (whole_number(row[0]) > whole_number(meta[0][2]))
        broken(k.str(), "a command was applied in a turn after the last");
    }
    for (const auto& row :
         db.run("SELECT s.name, s.first, s.last, count(e.seq), min(e.seq), max(e.seq) FROM rt_streams s "
                "LEFT JOIN rt_entries e ON e.stream = s.name GROUP BY s.name")
             .rows) {
      const auto first = whole_number(row[1]), last = whole_number(row[2]), count = whole_number(row[3]);
      if (count != last - first + 1 ||
          (count > 0 && (whole_number(row[4]) != first || whole_number(row[5]) != last))) {
        broken(k.str(), "its stream " + words(row[0]) + " has a gap: it says " + std::to_string(first) +
                            " to " + std::to_string(last) + " and holds " + std::to_string(count) +
                            " entries");
      }
    }
    if (options_.also) {
      options_.also(k, db, [&](std::string what) { broken(k.str(), std::move(what)); });
    }
  }

  void read_marks(const key& k, storage::reader& db, std::map<pair_id, mark>& to) const {
    for (const auto& row : db.run("SELECT sender, lane, incarnation, number FROM rt_marks").rows) {
      to[{words(row[0]), k.str(), whole_number(row[1])}] = {words(row[2]), whole_number(row[3])};
    }
  }

  void read_sent(const key& k, storage::reader& db) {
    for (const auto& row :
         db.run("SELECT p.target, p.lane, p.number, min(o.number), max(o.number), count(o.number) "
                "FROM rt_peers p LEFT JOIN rt_outbox o ON o.target = p.target AND o.lane = p.lane "
                "GROUP BY p.target, p.lane")
             .rows) {
      const sent_to s{whole_number(row[2]), whole_number(row[3]), whole_number(row[5])};
      if (s.waiting > 0 && whole_number(row[4]) > s.last) {
        broken(k.str(), "a message to " + words(row[0]) + " has number " +
                            std::to_string(whole_number(row[4])) + ", and " + std::to_string(s.last) +
                            " is the last that was given out");
      }
      sent_[{k.str(), words(row[0]), whole_number(row[1])}] = s;
    }
    for (const auto& row :
         db.run("SELECT DISTINCT target FROM rt_outbox o WHERE NOT EXISTS (SELECT 1 FROM rt_peers p "
                "WHERE p.target = o.target AND p.lane = o.lane)")
             .rows) {
      broken(k.str(), "its messages to " + words(row[0]) + " were never numbered");
    }
  }

  void compare_pairs() {
    result_.pairs = sent_.size();
    for (const auto& [pair, m] : before_) {
      const auto& [sender, target, lane] = pair;
      const auto lives = incarnations_.find(sender);
      if (lives == incarnations_.end() || lives->second != m.incarnation)
        continue;  // deleted, or another one since
      const auto s = sent_.find(pair);
      const auto last = s == sent_.end() ? 0 : s->second.last;
      if (m.number > last) {
        broken(target, "it applied message " + std::to_string(m.number) + " of " + sender +
                           ", who says to have sent " + std::to_string(last) +
                           ": something was seen that is not stored");
      }
    }
    for (const auto& [pair, s] : sent_) {
      const auto& [sender, target, lane] = pair;
      const auto m = after_.find(pair);
      const bool known = m != after_.end() && m->second.incarnation == incarnations_[sender];
      result_.waiting += static_cast<std::size_t>(
          known ? std::clamp<std::int64_t>(s.last - m->second.number, 0, s.waiting) : s.waiting);
      // No mark: nothing was applied yet, or the target was deleted, or made anew.
      if (!known) continue;
      const auto settled = s.oldest > 0 ? s.oldest - 1 : s.last;
      if (m->second.number < settled) {
        broken(sender, "it takes its messages to " + target + " up to " + std::to_string(settled) +
                           " for settled, and that one has applied " + std::to_string(m->second.number) +
                           ": messages are lost");
      }
    }
  }

  void compare_directory() {
    const auto own = data_ / "host.sqlite";
    if (!fs::exists(own)) return;
    try {
      storage::reader db(own, limits());
      for (const auto& row : db.run("PRAGMA quick_check").rows) {
        if (const auto text = words(row[0]); text != "ok") broken(own.string(), text);
      }
      for (const auto& row : db.run("SELECT key, incarnation, turn FROM actors WHERE state = 1").rows) {
        const auto k = words(row[0]);
        const auto found = incarnations_.find(k);
        if (found == incarnations_.end()) {
          if (!unreadable_.contains(k) && !fs::exists(data_ / k / "actor.sqlite"))
            broken(k, "the directory lists it and it has no file");
        } else if (!words(row[1]).empty() && words(row[1]) != found->second) {
          broken(k, "the directory knows another incarnation of it than its file");
        } else if (whole_number(row[2]) > turns_[k] + 1'000'000) {
          broken(k, "the directory has seen more turns of it than its file holds");
        }
      }
    } catch (const storage::error& e) {
      broken(own.string(), e.what());
    }
  }

  const fs::path data_;
  const verify_options& options_;
  const std::vector<key> keys_;
  verify_result result_;
  std::set<std::string> unreadable_;
  /// Each file is looked at three times; opening one costs more than looking, as long as there are few.
  std::map<std::string, std::unique_ptr<storage::reader>> readers_;
  std::map<std::string, std::string> incarnations_;
  std::map<std::string, std::int64_t> turns_;
  std::map<pair_id, sent_to> sent_;
  std::map<pair_id, mark> before_, after_;
};

// `folder` is of a kind: below it are ids, or the actor itself where there is only one of its kind.
void find_actors(const fs::path& folder, const std::string& name, const std::vector<std::string>& kinds,
                 std::vector<key>& found) {
  const auto take = [&](const fs::path& of, const std::string& text) {
    if (!fs::exists(of / "actor.sqlite")) return;
    if (auto k = key::parse(text)) found.push_back(std::move(*k));
  };
  const auto folders = [](const fs::path& of, auto&& f) {
    std::error_code ec;
    for (const auto& e : fs::directory_iterator(of, ec))
      if (e.is_directory(ec) && !e.is_symlink(ec)) f(e.path());
  };
  take(folder, name);
  folders(folder, [&](const fs::path& one) {
    const auto id = name + '/' + one.filename().string();
    take(one, id);
    folders(one, [&](const fs::path& below) {
      const auto kind = below.filename().string();
      if (kinds.empty() || std::ranges::find(kinds, kind) != kinds.end())
        find_actors(below, id + '/' + kind, kinds, found);
    });
  });
}

}  // namespace

std::vector<key> actors_in(const fs::path& data, const std::vector<std::string>& kinds) {
  std::vector<key> found;
  std::error_code ec;
  for (const auto& e : fs::directory_iterator(data, ec)) {
    const auto kind = e.path().filename().string();
    if (kind == "trash" || e.path() == before_upgrade(data) || !e.is_directory() || e.is_symlink()) continue;
    if (kinds.empty() || std::ranges::find(kinds, kind) != kinds.end())
      find_actors(e.path(), kind, kinds, found);
  }
  if (ec) {
    throw storage::error(
        storage::failure::missing, 0, data,
        "could not read the folder " + data.string() + ": " + ec.message() + "; check the path");
  }
  std::ranges::sort(found, {}, [](const key& k) { return k.str(); });
  return found;
}

verify_result verify(const fs::path& data, const verify_options& o) {
  return inspection(data, o).run();
}

}  // namespace troupe
