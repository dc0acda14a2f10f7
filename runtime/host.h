// The host: which actors are awake, who wakes and sleeps them, and how messages reach them. The one object an
// embedding program makes. examples/hello_actor shows the least of it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"
#include "runtime/durability.h"
#include "runtime/effect.h"
#include "runtime/kind.h"
#include "runtime/scheduler.h"
#include "runtime/topic.h"

namespace troupe {

enum class verdict {
  allow,
  forbidden,  ///< it may know of the actor, but not do this: 403
  hidden,     ///< for it the actor does not exist: 404
};

/// Whether a client may use a row that asks for `role` at `actor`. Called from any thread, at the door and
/// again when the command is applied; must not block.
using authorizer =
    std::function<verdict(const std::string& principal, const key& actor, std::string_view role)>;

/// Called inside a turn after a command whose row has an audit kind succeeded; typically turn.send()s an
/// entry to the audit log.
using auditor = std::function<void(turn&, const command_row&, const json& body, const json& result)>;

struct host_limits {
  std::size_t mailbox_commands = 1024;
  std::size_t mailbox_bytes = 16u << 20;
  std::size_t turn_commands = 64;
  std::size_t turn_bytes = 1u << 20;
  std::chrono::milliseconds turn_time{5};
  std::chrono::milliseconds handler_deadline{2000};
  std::chrono::milliseconds query_deadline{50};
  std::size_t outbox_rows = 10'000;
  std::size_t outbox_bytes = 64u << 20;
  std::size_t in_flight_per_pair = 64;
  std::size_t effects_at_once = 4;
  /// 0: min(10,000, (descriptors − 2,000) / 3).
  std::size_t awake = 0;
  std::chrono::milliseconds idle_before_sleep{60'000};
  std::chrono::hours remember_commands{24};
  std::size_t remember_commands_at_least = 10'000;
  std::size_t snapshot_cache_bytes = 64u << 20;
};

struct host_options {
  std::filesystem::path data;
  std::vector<const kind*> kinds;
  std::vector<effect_kind> effects = {};
  std::vector<feed_kind> feeds = {};
  /// Everyone may do everything when empty.
  authorizer authorize = {};
  auditor audit = {};
  storage::durability sync = storage::durability::full;
  host_limits limits = {};
  /// Null: the real ones. Borrowed; they outlive the host.
  clock* time = nullptr;
  id_source* ids = nullptr;
  durability_gate* gate = nullptr;
  scheduler* threads = nullptr;
  /// What quarantine, failed syncs, slow handlers and the like are told to; null drops it. Any thread.
  std::function<void(std::string_view area, std::string_view text)> log = {};
};

/// A command from a client. The answer comes once, on any thread, and only when the turn is durable.
struct client_command {
  key to;
  /// Idempotency key, 1 to 128 printable characters, unique per intention of this principal.
  std::string id;
  std::string name;
  json body;
  std::string principal;
  /// After it the client is told 504 `timed_out`; the command may still be applied: ask again with the same
  /// id.
  std::chrono::milliseconds timeout{10'000};
  /// Orders this sender's commands among each other (a connection, say). Empty: the principal.
  std::string connection = {};
};

struct client_query {
  key to;
  std::string name;
  json body;
  std::string principal;
  std::chrono::milliseconds timeout{10'000};
};

struct reply {
  std::variant<json, problem> is = json::object();
  /// The turn that answered, and the actor's revision after it (of the read for a query).
  std::uint64_t turn = 0;
  revision_id at = {};

  bool ok() const { return is.index() == 0; }
  const json& result() const { return std::get<json>(is); }
  const problem& error() const { return std::get<problem>(is); }
};

struct host_stats {
  std::size_t awake = 0, awake_limit = 0, actors = 0, quarantined = 0, subscribers = 0;
  std::uint64_t turns = 0, commands = 0, failed_commands = 0, queries = 0, wakes = 0, sleeps = 0,
                messages = 0, effects_started = 0, effects_failed = 0, commits_failed = 0,
                snapshots_built = 0;
  /// Upper bounds in microseconds and counts; the last bucket has no bound.
  std::vector<std::pair<std::int64_t, std::uint64_t>> turn_latency, commit_latency, batch_sizes;
  std::chrono::milliseconds uptime{0};
};

class data_folder_in_use : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class host_core;
struct backup_result;
struct backup_options;

/// Thread-safe throughout. Callbacks run on scheduler threads and must return at once.
class host {
 public:
  /// Opens the data folder, takes its lock (throws data_folder_in_use), checks the kinds (throws
  /// std::logic_error naming the row at fault). Nothing runs yet.
  explicit host(host_options);
  ~host();
  host(const host&) = delete;
  host& operator=(const host&) = delete;

  /// Wakes exactly the actors of the recovery list; answers at once, they resume in the background. The first
  /// start with newer tables makes a backup before (runtime/upgrade.h) and lasts as long; throws
  /// storage::error, with nothing changed, when there cannot be one or a newer program has served the folder.
  void start();
  /// Stops accepting (503 `shutting_down`), lets turns in flight commit, closes every file. Idempotent.
  void stop();

  using reply_handler = std::function<void(reply)>;
  void command(client_command, reply_handler);
  void query(client_query, reply_handler);
  /// Makes an actor that no parent makes, or does nothing when it is there, and sends it a command with from
  /// host(). `id` makes it idempotent.
  void command_as_host(const key& to, std::string_view name, json body, std::string id, reply_handler,
                       bool create = false);
  /// Blocking forms, for programs and tests; never on a scheduler thread.
  reply call(client_command);
  reply ask(client_query);
  reply call_as_host(const key& to, std::string_view name, json body, std::string id, bool create = false);

  /// The newest durable snapshot, from the cache or by waking the actor.
  using snapshot_handler = std::function<void(std::variant<snapshot_ptr, problem>)>;
  void snapshot(const key&, const std::string& principal, snapshot_handler);
  using page_handler = std::function<void(std::variant<page_ptr, problem>)>;
  /// A page after `after`; an empty page at the end. 410-like: when `after` + 1 is older than the oldest kept
  /// entry the page begins at `first` (the caller sees page->after != after and tells `reset`).
  void read_stream(const key&, std::string_view stream, std::uint64_t after, std::size_t limit,
                   const std::string& principal, page_handler);
  /// One entry whole, however long.
  void read_entry(const key&, std::string_view stream, std::uint64_t seq, const std::string& principal,
                  page_handler);

  /// The current snapshot comes first, unless `have` is current. A problem when the actor does not exist or
  /// is hidden. Does not keep the actor awake.
  using subscribed = std::function<void(std::optional<problem>)>;
  [[nodiscard]] subscription subscribe(const key&, std::optional<revision_id> have,
                                       const std::string& principal, std::shared_ptr<subscriber>, subscribed);
  /// Live entries of a stream from now on.
  [[nodiscard]] subscription subscribe_stream(const key&, std::string_view stream,
                                              const std::string& principal, std::shared_ptr<subscriber>,
                                              subscribed);
  /// Every committed turn of actors at or below `prefix` (all when empty). The sink must return at once; it
  /// may be called by several threads at a time, and never once the subscription is gone. It must not end the
  /// subscription itself.
  [[nodiscard]] subscription watch_turns(std::string prefix, std::function<void(const turn_event&)> sink);

  bool exists(const key&) const;
  const kind* find_kind(std::string_view name) const;
  const std::vector<const kind*>& kinds() const;
  host_stats stats() const;
  const std::filesystem::path& data() const;
  /// Where an actor's file is; it may not exist.
  std::filesystem::path folder(const key&) const;
  /// Wakes nothing: forgets quarantine and tries again on the next command.
  bool retry_quarantined(const key&);
  /// Sends a message of the dead list again, as a new one, or forgets it. The answer comes when that is
  /// durable; history shows it as $dead.retry or $dead.drop.
  void settle_dead(const key&, std::int64_t id, bool again, const std::string& principal, reply_handler);
  /// Asks an awake actor without obligations to sleep now.
  void sleep_now(const key&);

 private:
  friend class inspector;
  friend backup_result back_up(host&, const std::filesystem::path&, const backup_options&);
  friend void prepare_upgrade(host&);
  class impl;
  host_core& core() const;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe
