// What cells share: the table of awake actors and the services around it.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "runtime/alarms.h"
#include "runtime/at_work.h"
#include "runtime/catalog.h"
#include "runtime/cell.h"
#include "runtime/directory.h"
#include "runtime/hub.h"

namespace troupe {

/// Counts with upper bounds, lock-free.
template <std::size_t N>
class histogram {
 public:
  explicit constexpr histogram(std::array<std::int64_t, N> bounds) : bounds_(bounds) {}
  void add(std::int64_t v) {
    std::size_t i = 0;
    while (i < N && v > bounds_[i]) ++i;
    counts_[i].fetch_add(1, std::memory_order_relaxed);
  }
  std::vector<std::pair<std::int64_t, std::uint64_t>> read() const {
    std::vector<std::pair<std::int64_t, std::uint64_t>> out;
    for (std::size_t i = 0; i <= N; ++i) out.emplace_back(i < N ? bounds_[i] : -1, counts_[i].load());
    return out;
  }

 private:
  const std::array<std::int64_t, N> bounds_;
  std::array<std::atomic<std::uint64_t>, N + 1> counts_{};
};

struct counters {
  std::atomic<std::uint64_t> turns = 0, commands = 0, failed_commands = 0, queries = 0, wakes = 0, sleeps = 0,
                             messages = 0, effects_started = 0, effects_failed = 0, commits_failed = 0,
                             snapshots_built = 0;
  histogram<10> turn_latency{{100, 200, 500, 1000, 2000, 5000, 10'000, 50'000, 100'000, 1'000'000}};
  histogram<10> commit_latency{{50, 100, 200, 500, 1000, 2000, 5000, 10'000, 100'000, 1'000'000}};
  histogram<7> batch_sizes{{1, 2, 4, 8, 16, 32, 64}};
};

enum class delivered { accepted, no_actor, full, quarantined, too_many_awake, stopping };

/// Thread-safe. The impl behind troupe::host.
class host_core {
 public:
  explicit host_core(host_options);
  ~host_core();

  void start();
  void stop();

  /// Wakes the actor if need be. Takes the item only when accepted.
  delivered deliver(const key&, mailbox_item& item, lane, std::size_t bytes, bool client,
                    bool may_create = false);
  /// Why something was not delivered, for whoever sent it.
  problem refusal(delivered, const key&);
  /// To a sender that is awake; a sleeping one has nothing unsettled.
  void settle(const key& sender, settlement);
  /// Out of the table, unless something arrived meanwhile.
  bool remove(const std::shared_ptr<cell>&);
  std::shared_ptr<cell> awake(const key&) const;
  std::vector<std::shared_ptr<cell>> all_awake() const;
  std::size_t awake_count() const;

  std::optional<problem> check(const std::string& principal, const key&, std::string_view role) const;
  void log(std::string_view area, std::string_view text) const;
  bool stopping() const { return stopping_; }

  /// From now on nothing passes from one actor to another and no sender forgets what it sent, while turns go
  /// on: files that are copied meanwhile agree with each other. Returns when every turn that had begun is in
  /// its file and told (watch_turns); throws std::runtime_error when that takes too long. Never from a
  /// stretch.
  void hold_delivery();
  void resume_delivery();
  bool delivery_held() const { return delivery_held_; }
  /// The state of an actor without waking it, when that is known: what `have` and ETags are compared with.
  std::optional<revision_id> known_state(const key&);

  host_options options;
  catalog kinds;
  clock& time;
  id_source& ids;
  durability_gate& gate;
  directory dir;
  at_work at_work_;
  hub topics;
  counters count;
  std::map<std::string, effect_kind, std::less<>> effects;
  std::map<std::string, feed_kind, std::less<>> feeds;

 private:
  void sweep();
  std::string why_quarantined(const key&);
  std::unique_ptr<scheduler> own_scheduler_;

 public:
  scheduler& threads;
  std::unique_ptr<alarms> alarm;
  const std::chrono::steady_clock::time_point started;

 private:
  mutable std::mutex cells_mutex_;
  std::unordered_map<key, std::shared_ptr<cell>> cells_;
  std::size_t awake_limit_ = 0;
  std::atomic<bool> stopping_ = false, stopped_ = false, started_ = false;
  std::atomic<bool> delivery_held_ = false;
  /// A wake was refused for want of room: the sweep makes some.
  std::atomic<bool> crowded_ = false;

  friend class host;
  friend class inspector;
};

}  // namespace troupe
