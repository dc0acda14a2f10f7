// A host in virtual time on a recorded disk, with clients, drivers, disks and clocks that dice move: one
// seed, one exact run, which is then ended at every step of its disk. docs/testing-actors.md walks through
// one.
//
//   scenario s{.kinds = {&account()}, .open = open, .act = act, .laws = laws};
//   auto found = explore(s, {.points = 1000});
//   CHECK_MESSAGE(!found.broken, found.text());
//
// Held at every point, without a word of the scenario: what was answered is answered the same again; what was
// shown (snapshots, stream entries) or begun (effects) is stored; every pair of actors agrees on what was
// sent (verify()).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/host.h"
#include "runtime/testing/manual.h"
#include "storage/reader.h"
#include "storage/testing/disk_player.h"
#include "storage/testing/fault_vfs.h"

namespace troupe::testing {

class simulation;

class law_broken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Actors and what is done with them. Everything in it must follow from its arguments and the simulation's
/// dice.
struct scenario {
  std::vector<const kind*> kinds;
  /// Effects that actors ask for; the simulation plays their drivers: at once or late, well or not. `start`
  /// is not used.
  std::vector<effect_kind> effects = {};
  /// Makes the first actors, at the start of every life; what is there already stays as it is.
  std::function<void(simulation&)> open;
  /// One thing that somebody does.
  std::function<void(simulation&)> act;
  /// What must be true when nothing is under way any more: require() says what is not.
  std::function<void(simulation&)> laws;
  int acts = 10;
  /// Disks that fail now and then while the run lasts, and a gate that opens late or says no.
  bool broken_disks = false, slow_gate = false;
  storage::durability sync = storage::durability::full;
};

/// What the world outside has seen, each with the number of disk events before it.
struct outside {
  struct intention {
    key to;
    std::string id, name;
    json body;
    bool from_host;
    std::size_t tried;
    std::optional<std::size_t> answered = {};
    json answer = {};
  };
  struct shown {
    key actor;
    revision_id at;
    std::size_t when;
  };
  struct entry {
    key actor;
    std::string stream, data;
    std::uint64_t seq;
    std::size_t when;
  };
  struct effect {
    key actor;
    std::string id;
    std::size_t when;
  };
  int lives = 1;
  std::vector<intention> intentions;
  std::vector<shown> snapshots;
  std::vector<entry> entries;
  std::vector<effect> effects;
};

/// One life of a host. One thread.
class simulation {
 public:
  /// `before`: what was seen of the lives that this data folder has behind it, up to the step at which the
  /// last one ended; null for the first. `record`: what happens to the disk, if that is wanted.
  simulation(const scenario&, std::filesystem::path data, std::uint64_t seed, const outside* before,
             std::size_t ended_at, storage::testing::disk_record* record);
  ~simulation();
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;

  /// Everything until nothing is under way: acts with trouble between them in a first life, in a later one
  /// what the clients of the earlier ones still want. Then the laws. Throws law_broken.
  void live();
  const outside& seen() const { return seen_; }

  // For the functions of a scenario.

  /// A client's command, sent again with the same id until it is answered.
  void command(const key& to, std::string name, json body = json::object());
  /// The program's own: makes the actor. `id` names the intention.
  void make(const key& what, std::string name, std::string id, json body = json::object());
  /// At rest: rows of an actor's own file, as arrays.
  json rows(const key&, std::string_view sql);
  json ask(const key&, std::string_view query, json body = json::object());
  /// 0 to n - 1.
  std::uint64_t dice(std::uint64_t n) { return random_() % n; }
  void require(bool holds, const std::string& law) const {
    if (!holds) throw law_broken(law);
  }
  /// What was asked so far and the answers ({"result": …} or {"error": {…}}) that came.
  const std::vector<outside::intention>& intentions() const { return seen_.intentions; }
  /// Deleted, or never made.
  bool exists(const key& k) const { return host_->exists(k); }

 private:
  class watcher;
  class gate;

  std::size_t now() const { return record_ ? record_->events.size() : 0; }
  void send(std::size_t intention);
  void watch(const key&);
  void begin(std::shared_ptr<effect_run>);
  void end_one_effect(bool well);
  void trouble();
  void work();
  void insist();
  void rest();
  void compare();

  const scenario& scenario_;
  const std::filesystem::path data_;
  const bool first_life_;
  storage::testing::disk_record* const record_;
  std::mt19937_64 random_;
  storage::testing::fault_vfs disk_;
  manual_clock time_;
  counting_ids ids_;
  std::optional<manual_scheduler> threads_;
  std::unique_ptr<gate> gate_;
  outside seen_;
  std::size_t not_sent_yet_ = 0;
  std::vector<std::shared_ptr<effect_run>> effects_;
  std::shared_ptr<watcher> watcher_;
  std::map<std::string, subscription> watched_;
  std::set<std::string> known_;
  std::string why_refused_;
  /// Of rows(), until something is asked of the host again.
  std::map<std::string, std::unique_ptr<storage::reader>> readers_;
  std::unique_ptr<host> host_;
};

struct exploration {
  std::size_t runs = 0, points = 0;
  /// Where a life was ended, and the dice of the next.
  struct cut {
    std::size_t step;
    storage::testing::ending how;
    std::uint64_t dice;
  };
  struct broken_law {
    std::uint64_t seed;
    /// One for each life but the last; none: the first broke by itself.
    std::vector<cut> cuts;
    std::string what;
  };
  std::optional<broken_law> broken;

  /// What broke, and TROUPE_REPLAY=… which runs exactly that again; or how much was looked at.
  std::string text() const;
};

struct explore_options {
  std::size_t points = 1000;
  std::uint64_t seed = 1;
  /// Endings with torn writes at each step, beside a killed process and a clean power cut.
  int torn = 2;
  /// One in so many points has its recovery ended too, at some of its steps.
  std::uint64_t cut_recoveries = 50;
};

/// Runs with one seed after the other, each ended at every step, until that many points were looked at or a
/// law broke. The steps that make the first actors are gone through with the first seed alone. With
/// TROUPE_REPLAY in the environment only that point.
exploration explore(const scenario&, explore_options = {});

}  // namespace troupe::testing
