// One awake actor: its file, its mailbox, and the stretches in which it works.
//
// A stretch is one uninterrupted run on one thread: one turn, or one read. Between stretches the cell only
// holds state. The order inside a turn is the promise of the runtime: rows first, commit, gate, and only then
// replies, messages, effects, entries and snapshots (cell_release.cpp).
#pragma once

#include <atomic>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/mailbox.h"
#include "runtime/outbox.h"
#include "runtime/turn_state.h"
#include "runtime/work.h"
#include "storage/changes.h"

namespace troupe {

class host_core;

/// Everything that a turn lets out once it is durable.
struct turn_output {
  std::uint64_t turn = 0;
  revision_id at;
  std::vector<message_ptr> sent;
  std::vector<effect_row> effects;
  std::vector<std::string> cancelled, ended_effects;
  std::vector<feed_row> feeds;
  std::vector<std::string> unfollowed, ended_feeds;
  std::vector<std::pair<std::string, std::string>> advanced;
  std::vector<std::pair<std::string, stream_entry>> entries;
  std::vector<settlement> settled;
  std::vector<std::pair<key, settlement>> settled_for;
  struct waiting {
    host::reply_handler answer;
    reply is;
    /// Where its row stands, so that it can be read again after a reopen; empty: nothing was recorded.
    std::string sender, id;
  };
  std::vector<waiting> replies;
  std::vector<std::function<void()>> then;
  snapshot_ptr snapshot;
  turn_event event;
  bool own_written = false;
  bool retired = false;
  /// Its work was read from rows: it may have begun before.
  bool resumed = false;
};

/// Owned by the host's table of awake actors and by the stretch that runs. push() and later() from any
/// thread; the rest inside stretches.
class cell final : public turn_owner, public std::enable_shared_from_this<cell> {
 public:
  cell(host_core&, key, const known_kind&);
  ~cell() override;

  /// Takes the item only when accepted; wakes the cell.
  pushed push(mailbox_item& item, lane, std::size_t bytes, bool client, bool may_create);
  /// A message that makes it has been accepted, though its file may not be there yet. Any thread.
  bool being_made() const { return may_create_; }
  void later(std::function<void()> f);
  /// Lazy: kept for the next stretch, unless it cannot wait.
  void take_settlement(settlement);
  void poke();
  /// Once, before anything is pushed.
  void begin(scheduler&);
  bool close_if_idle() { return mailbox_.close_if_empty(); }

  // For turn and turn_state (turn_owner.h).
  const key& self() const override { return self_; }
  const known_kind& known() const override { return known_; }
  const std::string& incarnation() const override { return at_.incarnation; }
  id_source& ids() const override;
  lane lane_at(const key& target, std::string_view command) const override;
  std::uint64_t& last_number(const key& target, lane) override;
  std::uint64_t& last_entry(std::string_view stream) override;
  std::uint64_t& effect_count() override { return effect_count_; }
  std::chrono::milliseconds default_deadline(std::string_view effect,
                                             std::chrono::milliseconds otherwise) const override;
  void check_outbox(const turn_state&) const override;

  // For reads (host.cpp), inside a stretch.
  storage::database& db() { return *db_; }
  const revision_id& committed() const { return at_; }
  host_core& core() { return host_; }
  std::uint64_t turn_number() const { return turn_; }
  /// Runs f now if all that is committed is durable, else when it is.
  void when_durable(std::function<void()> f);
  snapshot_ptr build_snapshot();

  // For the host's sweep and the inspector; any thread.
  bool idle_since(std::chrono::steady_clock::time_point) const;
  std::int64_t last_active() const { return last_active_; }
  bool stalled() const { return stalled_; }
  void want_sleep();
  struct figures {
    std::size_t mailbox, outbox, effects, feeds;
    std::uint64_t turns, revision;
    std::string incarnation, quarantined;
    bool asleep;
  };
  figures look() const;
  std::vector<mailbox::waiting_item> waiting(std::size_t limit) const { return mailbox_.look(limit); }
  void expire(std::chrono::steady_clock::time_point now);
  /// Timers are due by the wall clock, which may jump while an alarm sleeps by the other one.
  void ring(timestamp now);
  /// Last words of a clean stop: closes the file. Only after the scheduler has stopped.
  void shut();

 private:
  class sink;

  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  void stretch();
  void run_notes();

  // Life (cell.cpp)
  bool open();
  void create_file();
  void load(bool index);
  void forget_counters();
  void close_file();
  void try_sleep();
  void finish_retirement();
  /// Leaves the host's table, or goes on when something arrived.
  void leave();
  void refuse(mailbox_item, const problem&);
  void refuse_all(const problem&);
  void quarantine(const std::string& why);
  void fault(const std::string& what);
  void stall(const std::string& why);
  void resume_work(bool retired);
  bool too_many_faults() const;
  void note_figures(bool asleep);

  // The turn (cell_turn.cpp)
  using place = std::pair<lane, std::size_t>;
  void collect(std::vector<command_item>& batch, std::vector<place>& places, std::optional<read_item>& read);
  /// `without` is the one that broke the transaction the first time.
  void run_turn(std::vector<command_item> batch, std::vector<place> places, bool second_try = false);
  bool apply_all(turn_state&, turn_output&, std::vector<command_item>& batch, std::vector<place>& places,
                 std::size_t& broken, std::string& why);
  void apply(turn_state&, turn_output&, client_item&);
  void apply(turn_state&, turn_output&, message_item&);
  void apply(turn_state&, turn_output&, outcome_item&);
  void apply(turn_state&, turn_output&, batch_item&);
  void apply(turn_state&, turn_output&, feed_end_item&);
  void apply(turn_state&, turn_output&, timer_item&);
  void apply(turn_state&, turn_output&, dead_item&);
  void apply(turn_state&, turn_output&, dead_letter_item&);
  /// Where a command comes from, as its row says.
  struct origin {
    int source;
    std::string_view sender, principal, id, body;
    const std::string* hash = nullptr;
  };
  answer handle(turn_state&, turn_output&, const command_row&, const json& body, const origin&);
  void write_record(turn_state&, turn_output&, std::string_view name, const origin&, const answer&,
                    std::chrono::microseconds took, std::size_t changes_from);
  void answer_sender(turn_state&, const message&, const answer&);
  void end_feed(turn_state&, turn_output&, const feed_row&, answer is);
  settlement& settlement_for(turn_output&, const message&);
  void housekeeping(turn_state&);
  void say_farewell(turn_state&);
  void prune(turn_state&);
  bool leaves_obligation(const turn_state&) const;
  void give_back(std::vector<command_item> batch, std::vector<place> places, const problem& why);

  // After the commit (cell_release.cpp)
  void hold(turn_output);
  void on_durable(std::uint64_t turn, bool ok);
  void release(turn_output&);
  void commit_failed(turn_output out, std::vector<command_item> batch, std::vector<place> places,
                     const std::string& why);
  void gate_failed(std::uint64_t turn);
  void distrust_memory(const problem& why);
  void stretch_failed(const std::string& why);
  void ask_gate(std::uint64_t turn);
  void rebuild(turn_output&);
  void drop_clients(std::vector<command_item>& batch, std::vector<place>& places);
  void publish_entries(turn_output&);
  void deliver_outbox();
  bool may_create(const message&) const;
  void settled(settlement);
  void publish_snapshot();
  void arm();

  friend class host_core;

  host_core& host_;
  const key self_;
  const known_kind& known_;
  mailbox mailbox_;
  std::unique_ptr<runner> runner_;
  std::shared_ptr<sink> sink_;

  std::atomic<bool> scheduled_ = false;
  std::atomic<bool> may_create_ = false;
  /// Commands between two looks at what is old; a look may forget more than that, so that it catches up.
  static constexpr std::int64_t prune_every = 256;
  /// Recorded since the last look. The first turn after waking looks.
  std::int64_t unpruned_ = prune_every;
  std::atomic<bool> sleep_wanted_ = false;
  /// Messages wait behind a full window: settlements are needed at once.
  std::atomic<bool> more_to_send_ = false;
  std::atomic<bool> stalled_ = false;
  std::atomic<std::int64_t> last_active_ = 0;
  std::atomic<std::int64_t> rings_at_ = never;

  std::mutex notes_mutex_;
  std::vector<std::function<void()>> notes_;

  mutable std::mutex look_mutex_;
  figures look_{};

  // Below: the stretch's alone.
  std::unique_ptr<storage::database> db_;
  /// Of the last committed turn.
  revision_id at_;
  std::uint64_t turn_ = 0;
  std::uint64_t durable_turn_ = 0;
  /// Committed turns that are not durable yet, oldest first.
  std::deque<turn_output> held_;

  class recorder;
  std::unique_ptr<recorder> recorder_;

  std::map<std::pair<std::string, lane>, std::uint64_t> numbers_;
  struct inbound {
    std::string incarnation;
    std::uint64_t number = 0;
  };
  std::map<std::pair<std::string, lane>, inbound> marks_;
  std::map<std::string, std::uint64_t, std::less<>> last_entries_;
  std::uint64_t effect_count_ = 0;

  outbox outbox_;
  /// Settled rows that the next turn deletes.
  std::map<std::pair<std::string, lane>, std::uint64_t> settled_rows_;
  /// Taken by the next turn before anything else.
  std::deque<command_item> own_items_;
  std::unique_ptr<work> work_;
  std::optional<std::int64_t> next_due_;

  bool awake_recorded_ = false;
  bool retired_ = false;
  /// Out of the host's table: another cell may have the file now.
  bool removed_ = false;
  bool snapshot_due_ = false;
  std::optional<std::chrono::steady_clock::time_point> last_snapshot_;
  std::string quarantined_;
  std::deque<timestamp> faults_;
  std::chrono::milliseconds pause_{0};
  std::optional<std::chrono::steady_clock::time_point> stalled_until_;
  std::optional<std::chrono::steady_clock::time_point> armed_;
};

}  // namespace troupe
