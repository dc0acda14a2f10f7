// The bounded queue of one actor, with two lanes.
#pragma once

#include <array>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/message.h"

namespace troupe {

enum class pushed { accepted, full, closed };

/// Thread-safe. Clients may fill three quarters of it; the rest is for messages, outcomes, feeds.
class mailbox {
 public:
  mailbox(std::size_t max_items, std::size_t max_bytes) : max_items_(max_items), max_bytes_(max_bytes) {}

  /// Takes `item` only when it is accepted.
  pushed push(mailbox_item& item, lane, std::size_t bytes, bool client);
  /// Back at the front, whatever the bounds say: it was taken from here.
  void push_front(mailbox_item item, lane, std::size_t bytes);

  struct taken {
    mailbox_item item;
    lane in;
    std::size_t bytes;
  };
  /// Commands for one turn within the bounds, or exactly one read. After 16 interactive ones a waiting
  /// background one has its turn. A read is never passed by a later command of its lane.
  std::vector<taken> take(std::size_t max_commands, std::size_t max_bytes);
  /// Items whose deadline (clients' and reads') has passed.
  std::vector<mailbox_item> take_expired(std::chrono::steady_clock::time_point now);
  std::vector<taken> take_all();

  /// What waits, for people, in the order of each lane.
  struct waiting_item {
    lane in;
    std::string_view type;
    std::string name, from, principal, id;
  };
  std::vector<waiting_item> look(std::size_t limit) const;

  bool empty() const;
  std::size_t size() const;
  /// Nothing is accepted any more, if it is empty now; answers whether it is closed.
  bool close_if_empty();

 private:
  struct slot {
    mailbox_item item;
    std::size_t bytes;
  };
  std::deque<slot>& lane_of(lane l) { return lanes_[static_cast<std::size_t>(l)]; }
  std::optional<lane> next_lane() const;

  const std::size_t max_items_, max_bytes_;
  mutable std::mutex mutex_;
  std::array<std::deque<slot>, 2> lanes_;
  std::size_t items_ = 0, bytes_ = 0;
  /// Interactive items taken since a background one last had its turn.
  int passed_ = 0;
  bool closed_ = false;
};

}  // namespace troupe
