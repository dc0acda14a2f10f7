// What one turn has gathered so far. Rows are written as they come; this mirrors them for what happens after
// the commit.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/outbox.h"
#include "runtime/turn.h"
#include "runtime/turn_owner.h"
#include "runtime/work.h"

namespace troupe {

/// A client's command would send more than the outbox may hold. Ends at the turn.
class backpressure {};

class turn_state {
 public:
  turn_state(turn_owner& c, storage::database& d, timestamp at, std::uint64_t turn)
      : owner(c), db(d), now(at), number(turn) {}

  turn_owner& owner;
  storage::database& db;
  const timestamp now;
  const std::uint64_t number;

  /// Of the command that is being applied.
  sender from;
  std::string principal, command_id;

  std::vector<message_ptr> sent;
  std::vector<effect_row> effects;
  std::vector<std::string> cancelled;
  std::vector<feed_row> feeds;
  std::vector<std::string> unfollowed;
  std::vector<std::pair<std::string, stream_entry>> entries;
  bool timers_changed = false;
  bool retired = false;
  std::size_t sent_bytes = 0;
  /// Kind's own tables were written: the revision moves.
  bool own_written = false;
  /// Anything at all was written: there is something to commit.
  bool written = false;

  /// Rows of the outbox that are settled went with this turn.
  bool settled = false;

  /// Counters that live in the cell, with their values before the current command.
  std::vector<std::pair<std::uint64_t*, std::uint64_t>> undo;

  struct mark {
    std::size_t sent, effects, cancelled, feeds, unfollowed, entries, sent_bytes;
    bool timers_changed, retired;
  };
  mark here() const {
    return {sent.size(),    effects.size(), cancelled.size(), feeds.size(), unfollowed.size(),
            entries.size(), sent_bytes,     timers_changed,   retired};
  }
  /// Forgets what came after the mark; the caller rolls the rows back.
  void back_to(const mark&);

  /// Writes a row of the outbox; `m` has everything but its number.
  void post(message m);
};

}  // namespace troupe
