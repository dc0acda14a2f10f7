// What travels inside a host: immutable messages between actors, and the items of a mailbox.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/catalog.h"
#include "runtime/host.h"

namespace troupe {

class cell;

/// One row of an outbox, as it travels. Numbers count from 1 per (sender's incarnation, target, lane).
struct message {
  key from;
  std::string from_incarnation;
  key to;
  /// Empty: whichever incarnation lives.
  std::string to_incarnation = {};
  lane in = lane::interactive;
  std::uint64_t number = 0;
  bool creates = false;
  bool is_reply = false;
  std::string principal = {};
  std::string name = {};
  json body = {};
  /// The command of the sender that wants the outcome; empty for none.
  std::string reply = {};
  json context = {};

  std::size_t bytes = 0;
};
/// The last message of a retired actor to each peer: forget my numbers.
inline constexpr std::string_view farewell = "$farewell";
using message_ptr = std::shared_ptr<const message>;

/// Tells a sender what became of its messages to one target and lane, up to and with `upto`.
struct settlement {
  key target;
  lane in;
  std::string sender_incarnation;
  std::uint64_t upto = 0;
  struct rejection {
    std::uint64_t number;
    problem why;
  };
  /// Those without a reply: they belong on the sender's dead list.
  std::vector<rejection> rejected;
  /// Not taken now: deliver again from `upto` + 1, after a pause.
  bool refused = false;
};

struct client_item {
  client_command command;
  const known_command* known = nullptr;
  host::reply_handler answer;
  std::chrono::steady_clock::time_point deadline;
  /// From the embedding program rather than from a client.
  bool from_host = false;
};

struct message_item {
  message_ptr is;
  /// The lowest number of this pair that the sender does not know settled: nothing older can still come.
  std::uint64_t base = 0;
};

struct outcome_item {
  std::string effect;
  int attempt = 0;
  answer is = json(nullptr);
};

struct batch_item {
  std::string feed;
  std::string position;
  json entries;
  std::function<void()> committed;
};

struct feed_end_item {
  std::string feed;
  answer is = json(nullptr);
};

struct timer_item {
  std::string name;
  std::int64_t due = 0;
};

/// A message of ours that will never be applied: its row goes, and its reply command (if any) hears why.
struct dead_item {
  message_ptr is;
  problem why;
};

/// Somebody decided about a message on the dead list: it is sent again as a new one, or forgotten.
struct dead_letter_item {
  std::int64_t id = 0;
  bool again = false;
  std::string principal;
  host::reply_handler answer;
};

struct read_item {
  /// Runs between turns; `why` is set instead when it cannot.
  std::function<void(cell*, const problem* why)> run;
  std::chrono::steady_clock::time_point deadline;
};

using command_item = std::variant<client_item, message_item, outcome_item, batch_item, feed_end_item,
                                  timer_item, dead_item, dead_letter_item>;
using mailbox_item = std::variant<client_item, message_item, outcome_item, batch_item, feed_end_item,
                                  dead_letter_item, read_item>;

}  // namespace troupe
