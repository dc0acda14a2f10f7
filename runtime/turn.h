// What a handler works with: its own tables, one command, and what it wants to happen once the turn is
// durable.
//
// A handler never waits. Everything it asks for here is a row of the same transaction; messages, effects,
// timers, replies and stream entries leave the actor only after the commit (the output gate of
// architecture.md). A handler that returns a problem or throws leaves nothing behind: its savepoint is rolled
// back, its neighbours in the turn commit.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "runtime/answer.h"
#include "runtime/view.h"

namespace troupe {

class turn_state;

/// Who sent the command that is being applied.
struct sender {
  enum class type { client, actor, self, effect, host };
  type is = type::host;
  /// The actor for type::actor; empty otherwise.
  std::string actor;
};

/// Work on the outside world, performed by the driver that is registered for `kind` after the commit.
struct effect_request {
  std::string_view kind;
  nlohmann::json body;
  /// The command (from effect) that gets the outcome; see outcome in answer.h.
  std::string_view then;
  /// Comes back in the outcome, so that the handler knows what this was about.
  nlohmann::json context = nullptr;
  /// Effects of one resource run one at a time, in the order they were asked for.
  std::string resource = {};
  /// For the whole effect, retries included; 0 takes the driver's default.
  std::chrono::milliseconds deadline{0};
};

/// A long-lived source of commands. `on_batch` gets {"feed","position","entries":[…]}; the runtime stores the
/// position in the same turn and acknowledges the source after it. `on_end` gets an outcome.
struct feed_request {
  std::string_view kind;
  nlohmann::json body;
  std::string_view on_batch;
  std::string_view on_end;
  nlohmann::json context = nullptr;
};

class turn : public view {
 public:
  explicit turn(turn_state& state);

  /// Number of this turn if it commits.
  std::uint64_t number() const;
  const sender& from() const;
  /// On whose behalf: the client's principal, carried along by messages, effects and timers.
  const std::string& principal() const;
  /// The idempotency key of the command, or a name that is as unique.
  const std::string& command_id() const;
  /// 26 characters, sortable by time, a valid id of a key.
  std::string new_id();

  /// Writes own tables.
  template <class... Args>
  void run(std::string_view sql, const Args&... args) {
    db_.run(sql, args...);
  }
  /// Rows changed by the last run().
  std::int64_t changes() const { return db_.changes(); }

  /// A message to another actor: exactly once, in order per pair and lane. Never creates its target.
  void send(const key& to, std::string_view name, nlohmann::json body);
  /// The same, and makes the target if it does not exist. `name` must be a row with `creates` of the target's
  /// kind, and the sender its parent by key or a kind that the row names.
  void create(const key& child, std::string_view name, nlohmann::json body);
  /// A message whose outcome comes back as the command `reply` (from reply) with
  /// {"ok","result"|"error","context"}.
  void ask(const key& to, std::string_view name, nlohmann::json body, std::string_view reply,
           nlohmann::json context = nullptr);

  /// Answers the id of the effect.
  std::string start(const effect_request&);
  /// Asks the driver to give up; the outcome is then a problem with code `cancelled`. Unknown ids are
  /// ignored.
  void cancel(std::string_view effect);
  std::string follow(const feed_request&);
  /// Ends a feed; no batch is applied after this turn and on_end is not called.
  void unfollow(std::string_view feed);

  /// One durable alarm per name; setting it again replaces it. `command` is a row with from self.
  void set_timer(std::string_view name, timestamp due, std::string_view command,
                 nlohmann::json body = nlohmann::json::object());
  void clear_timer(std::string_view name);

  /// Adds an entry to a stream of this kind and answers its sequence number. Over 16 MiB it is cut with a
  /// mark.
  std::uint64_t append(std::string_view stream, const nlohmann::json& entry);

  /// The actor ends with this turn: what is in its outbox is still delivered, then its folder moves to the
  /// trash, subscribers get `gone` and later commands answer 404. A parent retires after its children are
  /// gone.
  void retire();

 private:
  turn_state& state_;
};

}  // namespace troupe
