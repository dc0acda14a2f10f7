// Every step of every run: ends it there, and lets the next life be held against what was seen of the first.
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "tests/kit/simulation.h"

namespace troupe::testing {

namespace fs = std::filesystem;
using storage::testing::disk_event;
using storage::testing::disk_player;
using storage::testing::disk_record;
using storage::testing::ending;

namespace {

constexpr const char* names[] = {"killed", "power_lost", "power_torn"};

// In memory where there is such a place: nothing here outlives the process.
class work_folder {
 public:
  work_folder() {
    const fs::path memory = "/dev/shm";
    auto name = ((::access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path()) / "troupe-run-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("could not make a folder as " + name);
    path_ = name;
  }
  ~work_folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path data() const { return path_ / "data"; }

 private:
  fs::path path_;
};

struct run_record {
  disk_record disk;
  outside seen;
};

run_record run_once(const scenario& s, const fs::path& data, std::uint64_t seed) {
  fs::remove_all(data);
  run_record r;
  simulation first(s, data, seed, nullptr, 0, &r.disk);
  first.live();
  r.seen = first.seen();
  return r;
}

void run_on(const scenario& s, const fs::path& data, std::uint64_t dice, const run_record& r, std::size_t step) {
  simulation next(s, data, dice, &r.seen, step, nullptr);
  next.live();
}

// Whether ending so after this event can show anything that ending so after the one before could not.
bool worth_it(ending how, const disk_event& e, bool something_seen) {
  using kind = disk_event::kind;
  const bool reaches_the_disk = e.is == kind::synced || e.is == kind::folder_synced;
  if (how == ending::killed) return !reaches_the_disk && e.is != kind::sync_failed;
  return how == ending::power_torn ? !reaches_the_disk : reaches_the_disk || something_seen;
}

std::set<std::size_t> moments_of(const outside& seen) {
  std::set<std::size_t> all;
  for (const auto& i : seen.intentions)
    if (i.answered) all.insert(*i.answered);
  for (const auto& x : seen.snapshots) all.insert(x.when);
  for (const auto& x : seen.entries) all.insert(x.when);
  for (const auto& x : seen.effects) all.insert(x.when);
  return all;
}

class explorer {
 public:
  explorer(const scenario& s, const explore_options& o) : scenario_(s), options_(o) {}

  exploration all() {
    for (auto seed = options_.seed; found_.points < options_.points && !found_.broken; ++seed) every_step(seed);
    return found_;
  }

  // "SEED" or "SEED:STEP:ENDING:DICE"
  exploration one(const std::string& what) {
    std::istringstream in(what);
    std::string how;
    char colon = 0;
    exploration::broken_law at{};
    std::size_t step = 0;
    if (!(in >> at.seed)) throw std::invalid_argument("TROUPE_REPLAY is SEED or SEED:STEP:ENDING:DICE, not " + what);
    if (in >> colon >> step) {
      at.step = step;
      in >> colon;
      std::getline(in, how, ':');
      in >> at.dice;
      at.how = static_cast<ending>(std::ranges::find(names, how) - names);
    }
    guarded(at, [&] {
      const auto r = run_once(scenario_, folder_.data(), at.seed);
      ++found_.runs;
      if (!at.step) return;
      disk_player player(r.disk);
      while (player.at() < *at.step && player.step()) {
      }
      player.leave(folder_.data(), at.how, at.dice);
      ++found_.points;
      run_on(scenario_, folder_.data(), at.dice, r, *at.step);
    });
    return found_;
  }

 private:
  template <class F>
  bool guarded(exploration::broken_law at, F&& f) {
    try {
      f();
      return true;
    } catch (const std::exception& e) {
      at.what = e.what();
      found_.broken = std::move(at);
      return false;
    }
  }

  void every_step(std::uint64_t seed) {
    run_record r;
    exploration::broken_law at{seed, {}, {}, 0, {}};
    if (!guarded(at, [&] { r = run_once(scenario_, folder_.data(), seed); })) return;
    ++found_.runs;
    const auto moments = moments_of(r.seen);
    disk_player player(r.disk);
    while (player.step()) {
      const auto& event = r.disk.events[player.at() - 1].event;
      for (int n = 0; n < 2 + options_.torn; ++n) {
        at.step = player.at();
        at.how = n == 0 ? ending::killed : n == 1 ? ending::power_lost : ending::power_torn;
        at.dice = seed * 1'000'003 + player.at() * 101 + static_cast<std::uint64_t>(n);
        if (!worth_it(at.how, event, moments.contains(player.at()))) continue;
        player.leave(folder_.data(), at.how, at.dice);
        ++found_.points;
        if (!guarded(at, [&] { run_on(scenario_, folder_.data(), at.dice, r, player.at()); })) return;
        if (found_.points >= options_.points) return;
      }
    }
  }

  const scenario& scenario_;
  const explore_options options_;
  work_folder folder_;
  exploration found_;
};

}  // namespace

std::string exploration::text() const {
  const auto looked = std::to_string(points) + " points of " + std::to_string(runs) + " runs";
  if (!broken) return looked + ", every law held";
  auto replay = std::to_string(broken->seed);
  if (broken->step) {
    replay += ':' + std::to_string(*broken->step) + ':' + names[static_cast<std::size_t>(broken->how)] + ':' +
              std::to_string(broken->dice);
  }
  return "after " + looked + ": " + broken->what + "; again with TROUPE_REPLAY=" + replay;
}

exploration explore(const scenario& s, explore_options o) {
  explorer e(s, o);
  const char* again = std::getenv("TROUPE_REPLAY");
  return again && *again ? e.one(again) : e.all();
}

}  // namespace troupe::testing
