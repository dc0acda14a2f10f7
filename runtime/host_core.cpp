#include "runtime/host_core.h"

#include <sys/resource.h>

#include <algorithm>
#include <future>
#include <thread>

#include "runtime/cell_parts.h"

namespace troupe {

namespace {

constexpr int max_crashes = 3;
constexpr std::size_t due_at_once = 256;
constexpr std::size_t evict_at_once = 32;
constexpr std::chrono::hours trash_kept{24 * 7};
constexpr std::chrono::seconds stop_deadline{10};
constexpr std::chrono::seconds hold_deadline{30};
constexpr std::uint64_t descriptors_for_others = 2000;
constexpr std::uint64_t descriptors_per_actor = 3;
constexpr std::uint64_t most_awake = 10'000;

// Raises the soft limit of descriptors to the hard one, and says how many actors may be awake.
std::size_t awake_by_descriptors() {
  rlimit r{};
  ::getrlimit(RLIMIT_NOFILE, &r);
  r.rlim_cur = r.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &r);
  ::getrlimit(RLIMIT_NOFILE, &r);
  const auto spare = r.rlim_cur > descriptors_for_others ? r.rlim_cur - descriptors_for_others : 0;
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(spare / descriptors_per_actor, 16, most_awake));
}

}  // namespace

host_core::host_core(host_options o)
    : options(std::move(o)),
      kinds(options.kinds),
      time(options.time ? *options.time : system_clock()),
      ids(options.ids ? *options.ids : random_ids()),
      gate(options.gate ? *options.gate : local_durability()),
      dir(options.data, options.sync),
      at_work_(options.data / "at-work"),
      topics(options.limits.snapshot_cache_bytes),
      own_scheduler_(options.threads ? nullptr : make_caf_scheduler()),
      threads(options.threads ? *options.threads : *own_scheduler_),
      started(time.steady()),
      awake_limit_(options.limits.awake ? options.limits.awake : awake_by_descriptors()) {
  for (auto& e : options.effects) effects[e.name] = e;
  for (auto& f : options.feeds) feeds[f.name] = f;
  alarm = std::make_unique<alarms>(threads, time, [this] { sweep(); });
}

host_core::~host_core() {
  stop();
}

void host_core::start() {
  if (started_.exchange(true)) return;
  alarm->start();
  for (auto& [k, crashes] : dir.recover(at_work_.crashed())) {
    if (crashes >= max_crashes) {
      const auto why =
          "the server crashed " + std::to_string(crashes) + " times in a row while this actor was at work";
      log("quarantine", k.str() + ": " + why);
      dir.quarantine(k, why);
      continue;
    }
    // A read is the least that wakes: it brings no turn of its own.
    mailbox_item item = read_item{[](cell*, const problem*) {}, std::chrono::steady_clock::time_point::max()};
    deliver(k, item, lane::interactive, 0, false);
  }
  dir.empty_trash(time.now(), trash_kept);
}

void host_core::stop() {
  if (stopped_.exchange(true)) return;
  stopping_ = true;
  // What was accepted is finished; what cannot be is answered when its file closes. With virtual time nobody
  // runs it for us, so there is nothing to wait for.
  if (own_scheduler_) {
    const auto until = std::chrono::steady_clock::now() + stop_deadline;
    const auto busy = [&] {
      const auto cells = all_awake();
      return std::ranges::any_of(cells, [](const auto& c) { return c->look().mailbox > 0 && !c->stalled(); });
    };
    while (busy() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  }
  alarm->stop();
  threads.stop();
  std::unordered_map<key, std::shared_ptr<cell>> cells;
  {
    std::lock_guard lock(cells_mutex_);
    cells.swap(cells_);
  }
  for (auto& [k, c] : cells) c->shut();
  cells.clear();
  try {
    dir.clean_end();
  } catch (const std::exception& e) {
    log("stop", e.what());
  }
}

delivered host_core::deliver(const key& to, mailbox_item& item, lane l, std::size_t bytes, bool client,
                             bool may_create) {
  if (stopping_) return delivered::stopping;
  const auto* known = kinds.find(to.kind());
  if (!known || to.singleton() != known->declared().singleton) return delivered::no_actor;
  for (;;) {
    auto c = awake(to);
    if (!c) {
      if (!kinds.knows_all_of(to)) return delivered::no_actor;
      std::optional<directory_entry> entry;
      try {
        entry = dir.find(to);
      } catch (const std::exception& e) {
        log("directory", e.what());
        return delivered::full;
      }
      if (entry && !entry->quarantined.empty()) return delivered::quarantined;
      if (!may_create && (!entry || entry->creating) && !std::filesystem::exists(dir.file(to)))
        return delivered::no_actor;
      auto fresh = std::make_shared<cell>(*this, to, *known);
      fresh->begin(threads);
      std::lock_guard lock(cells_mutex_);
      if (cells_.size() >= awake_limit_ && !cells_.contains(to)) {
        crowded_ = true;
        return delivered::too_many_awake;
      }
      c = cells_.try_emplace(to, std::move(fresh)).first->second;
    }
    switch (c->push(item, l, bytes, client, may_create)) {
      case pushed::accepted:
        return delivered::accepted;
      case pushed::full:
        return delivered::full;
      case pushed::closed:
        break;  // It fell asleep just now: wake it again.
    }
  }
}

problem host_core::refusal(delivered d, const key& k) {
  switch (d) {
    case delivered::no_actor:
      return not_found("there is no actor " + k.str());
    case delivered::full:
      return too_many("mailbox_full",
                      k.str() + " has as many commands waiting as it can hold; try again later");
    case delivered::quarantined:
      return quarantined_problem(k, why_quarantined(k));
    case delivered::too_many_awake:
      return unavailable("too_many_awake",
                         "as many actors are awake as this server can hold; try again later");
    case delivered::stopping:
      return unavailable("shutting_down", "the server is shutting down");
    case delivered::accepted:
      break;
  }
  return {500, "internal", "no problem"};
}

std::string host_core::why_quarantined(const key& k) {
  try {
    if (const auto entry = dir.find(k); entry && !entry->quarantined.empty()) return entry->quarantined;
  } catch (const storage::error& e) {
    log("directory", k.str() + ": " + e.what());
  }
  return "it failed too often";
}

void host_core::settle(const key& sender, settlement s) {
  const auto c = awake(sender);
  if (!c) return;
  c->take_settlement(std::move(s));
}

bool host_core::remove(const std::shared_ptr<cell>& c) {
  std::lock_guard lock(cells_mutex_);
  if (!c->close_if_idle()) return false;
  const auto it = cells_.find(c->self());
  if (it != cells_.end() && it->second == c) cells_.erase(it);
  return true;
}

std::shared_ptr<cell> host_core::awake(const key& k) const {
  std::lock_guard lock(cells_mutex_);
  const auto it = cells_.find(k);
  return it == cells_.end() ? nullptr : it->second;
}

std::vector<std::shared_ptr<cell>> host_core::all_awake() const {
  std::vector<std::shared_ptr<cell>> all;
  std::lock_guard lock(cells_mutex_);
  all.reserve(cells_.size());
  for (const auto& [k, c] : cells_) all.push_back(c);
  return all;
}

std::size_t host_core::awake_count() const {
  std::lock_guard lock(cells_mutex_);
  return cells_.size();
}

void host_core::hold_delivery() {
  struct barrier {
    std::promise<void> passed;
    ~barrier() { passed.set_value(); }
  };
  delivery_held_ = true;
  auto last = std::make_shared<barrier>();
  auto passed = last->passed.get_future();
  for (const auto& c : all_awake()) {
    c->later([c = c.get(), last] { c->when_durable([last] {}); });
  }
  last.reset();
  if (passed.wait_for(hold_deadline) == std::future_status::ready) return;
  resume_delivery();
  throw std::runtime_error("some actors did not come to the end of their turn within " +
                           std::to_string(hold_deadline.count()) +
                           " s; try again when the server has less to do");
}

void host_core::resume_delivery() {
  delivery_held_ = false;
  for (const auto& c : all_awake()) c->poke();
}

std::optional<problem> host_core::check(const std::string& principal, const key& k,
                                        std::string_view role) const {
  if (!options.authorize) return std::nullopt;
  switch (options.authorize(principal, k, role)) {
    case verdict::allow:
      return std::nullopt;
    case verdict::forbidden:
      return forbidden("this needs the role " + std::string(role) + " at " + k.str());
    case verdict::hidden:
      break;
  }
  return not_found("there is no actor " + k.str());
}

void host_core::log(std::string_view area, std::string_view text) const {
  if (options.log) options.log(area, text);
}

std::optional<revision_id> host_core::known_state(const key& k) {
  if (awake(k)) return std::nullopt;
  const auto entry = dir.find(k);
  if (!entry || !entry->trusted) return std::nullopt;
  return entry->at;
}

void host_core::sweep() {
  const auto now = time.steady();
  auto cells = all_awake();
  const auto wall = time.now();
  const auto idle = now - options.limits.idle_before_sleep;
  for (const auto& c : cells) {
    c->expire(now);
    c->ring(wall);
    if (c->idle_since(idle)) c->want_sleep();
  }
  if (crowded_.exchange(false)) {
    const auto n = std::min(evict_at_once, cells.size());
    std::ranges::partial_sort(cells, cells.begin() + static_cast<std::ptrdiff_t>(n), {}, &cell::last_active);
    for (std::size_t i = 0; i < n; ++i) cells[i]->want_sleep();
  }
  try {
    for (const auto& k : dir.due(time.now(), due_at_once)) {
      if (awake(k)) continue;
      mailbox_item item =
          read_item{[](cell*, const problem*) {}, std::chrono::steady_clock::time_point::max()};
      deliver(k, item, lane::background, 0, false);
    }
  } catch (const std::exception& e) {
    log("directory", e.what());
  }
}

}  // namespace troupe
