// What an awake actor has sent and does not know settled yet: per target and lane, in order.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/message.h"

namespace troupe {

/// Mirrors rt_outbox in memory. Only durable messages stand here. Used by its actor's stretches alone.
class outbox {
 public:
  using pair = std::pair<std::string, lane>;
  using time = std::chrono::steady_clock::time_point;

  void add(message_ptr);

  enum class pushed { sent, later, gone };
  /// Hands out what may go now: in order, at most `window` of a pair in flight. After `later` the pair
  /// pauses, longer each time (0.1 to 30 s). After `gone` the message is settled and answered in the list.
  template <class Push>
  std::vector<message_ptr> deliver(time now, std::size_t window, Push&& push);

  /// Everything up to the number is settled; answers the messages whose numbers were rejected or went
  /// nowhere.
  std::vector<message_ptr> settle(const settlement&);
  /// Delivers again from the first unsettled one, after a pause.
  void retry(const pair&, time now);

  std::size_t size() const { return size_; }
  std::size_t bytes() const { return bytes_; }
  bool empty() const { return size_ == 0; }
  bool more_to_send() const;
  /// When the next pause ends.
  std::optional<time> next_retry() const;

 private:
  struct line {
    std::deque<message_ptr> unsettled;
    /// How many from the front are in flight.
    std::size_t sent = 0;
    std::chrono::milliseconds pause{0};
    std::optional<time> paused_until;
  };
  void hold(line&, time now);
  void drop_front(line&);

  std::map<pair, line> lines_;
  std::size_t size_ = 0, bytes_ = 0;
};

template <class Push>
std::vector<message_ptr> outbox::deliver(time now, std::size_t window, Push&& push) {
  std::vector<message_ptr> gone;
  for (auto it = lines_.begin(); it != lines_.end();) {
    auto& l = it->second;
    if (l.paused_until && *l.paused_until <= now) l.paused_until.reset();
    while (!l.paused_until && l.sent < l.unsettled.size() && l.sent < window) {
      const auto went = push(l.unsettled[l.sent], l.unsettled.front()->number);
      if (went == pushed::sent) {
        ++l.sent;
      } else if (went == pushed::gone && l.sent == 0) {
        gone.push_back(l.unsettled.front());
        drop_front(l);
      } else {
        // Also when it is gone while earlier ones are in flight: those are settled first, to keep the order.
        hold(l, now);
      }
    }
    it = l.unsettled.empty() ? lines_.erase(it) : std::next(it);
  }
  return gone;
}

}  // namespace troupe
