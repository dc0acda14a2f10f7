// Every step of every run: ends it there, and lets the next life be held against what was seen of the first.
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "runtime/testing/simulation.h"

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
    auto name =
        ((::access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path()) / "troupe-run-XXXXXX")
            .string();
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

struct life {
  disk_record disk;
  outside seen;
};

// The next life on what the one before left.
life run(const scenario& s, const fs::path& data, std::uint64_t dice, const outside* before,
         std::size_t ended_at, bool recorded) {
  life l;
  simulation is(s, data, dice, before, ended_at, recorded ? &l.disk : nullptr);
  is.live();
  l.seen = is.seen();
  return l;
}

void go_to(disk_player& p, std::size_t step) {
  while (p.at() < step && p.step()) {
  }
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
    for (auto seed = options_.seed; !enough(); ++seed) every_step(seed);
    return found_;
  }

  // SEED, then :STEP:ENDING:DICE for each life that was ended.
  exploration one(const std::string& what) {
    std::istringstream in(what);
    std::vector<std::string> parts;
    for (std::string part; std::getline(in, part, ':');) parts.push_back(part);
    if (parts.size() % 3 != 1)
      throw std::invalid_argument("TROUPE_REPLAY is SEED or SEED:STEP:ENDING:DICE, not " + what);
    exploration::broken_law at{std::stoull(parts[0]), {}, {}};
    for (std::size_t n = 1; n < parts.size(); n += 3) {
      at.cuts.push_back({std::stoull(parts[n]),
                         static_cast<ending>(std::ranges::find(names, parts[n + 1]) - names),
                         std::stoull(parts[n + 2])});
    }
    guarded(at, [&] {
      auto l = first(at.seed);
      for (const auto& c : at.cuts) {
        disk_player player(l.disk);
        go_to(player, c.step);
        l = next(player, c, l.seen, &c != &at.cuts.back());
      }
    });
    return found_;
  }

 private:
  bool enough() const { return found_.points >= options_.points || found_.broken; }

  template <class F>
  bool guarded(const exploration::broken_law& at, F&& f) {
    try {
      f();
      return true;
    } catch (const std::exception& e) {
      found_.broken = at;
      found_.broken->what = e.what();
      return false;
    }
  }

  life first(std::uint64_t seed) {
    fs::remove_all(folder_.data());
    ++found_.runs;
    return run(scenario_, folder_.data(), seed, nullptr, 0, true);
  }

  life next(const disk_player& player, const exploration::cut& c, const outside& seen, bool recorded) {
    player.leave(folder_.data(), c.how, c.dice);
    ++found_.points;
    return run(scenario_, folder_.data(), c.dice, &seen, c.step, recorded);
  }

  static exploration::cut cut_at(std::size_t step, int n, std::uint64_t dice) {
    return {step, n == 0 ? ending::killed : n == 1 ? ending::power_lost : ending::power_torn, dice};
  }

  void every_step(std::uint64_t seed) {
    life l;
    exploration::broken_law at{seed, {}, {}};
    if (!guarded(at, [&] { l = first(seed); })) return;
    const auto moments = moments_of(l.seen);
    disk_player player(l.disk);
    if (seed != options_.seed) go_to(player, opened(l.seen));
    at.cuts.resize(1);
    while (player.step()) {
      const auto& event = l.disk.events[player.at() - 1].event;
      for (int n = 0; n < 2 + options_.torn; ++n) {
        const auto dice = seed * 1'000'003 + player.at() * 101 + static_cast<std::uint64_t>(n);
        at.cuts[0] = cut_at(player.at(), n, dice);
        if (!worth_it(at.cuts[0].how, event, moments.contains(player.at()))) continue;
        const bool cut_again = dice % options_.cut_recoveries == 0;
        life recovery;
        if (!guarded(at, [&] { recovery = next(player, at.cuts[0], l.seen, cut_again); })) return;
        if (cut_again) some_steps(at, recovery, dice);
        if (enough()) return;
      }
    }
  }

  // Of a recovery.
  void some_steps(exploration::broken_law at, const life& recovery, std::uint64_t dice) {
    constexpr int ended_at_each = 4;
    at.cuts.resize(2);
    std::mt19937_64 random(dice);
    for (int n = 0; n < ended_at_each && !recovery.disk.events.empty(); ++n) {
      disk_player player(recovery.disk);
      at.cuts[1] =
          cut_at(1 + random() % recovery.disk.events.size(), static_cast<int>(random() % 3), random());
      go_to(player, at.cuts[1].step);
      if (!guarded(at, [&] { next(player, at.cuts[1], recovery.seen, false); })) return;
    }
  }

  static std::size_t opened(const outside& seen) {
    std::size_t last = 0;
    for (const auto& i : seen.intentions)
      if (i.from_host) last = std::max(last, i.answered.value_or(0));
    return last;
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
  for (const auto& c : broken->cuts) {
    replay += ':' + std::to_string(c.step) + ':' + names[static_cast<std::size_t>(c.how)] + ':' +
              std::to_string(c.dice);
  }
  return "after " + looked + ": " + broken->what + "; again with TROUPE_REPLAY=" + replay;
}

exploration explore(const scenario& s, explore_options o) {
  explorer e(s, o);
  const char* again = std::getenv("TROUPE_REPLAY");
  return again && *again ? e.one(again) : e.all();
}

}  // namespace troupe::testing
