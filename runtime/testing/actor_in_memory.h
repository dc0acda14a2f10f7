// One actor in memory: its handlers tested without files, threads or time.
//
//   actor_in_memory ada(account, "account/ada");
//   ada.apply("account.open", {{"coins", 10}});
//   const auto t = ada.apply("account.pay", {{"to", "bob"}, {"coins", 4}});
//   CHECK(t.rows == json::parse(R"([["~", "purse", 1, {"coins": [10, 6]}]])"));
//   CHECK(t.messages.at(0).name == "account.receive");
//
// A command here is a turn of its own, and what it would let out is shown instead. Who may send it is the
// host's business and not asked. One thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/kind.h"

namespace troupe::testing {

/// What one turn did.
struct shown_turn {
  struct message {
    key to;
    std::string name;
    json body;
    /// The command that gets the outcome, if it is a question.
    std::string reply = {};
    json context = nullptr;
    bool creates = false;
  };
  /// An effect, or a feed with the command that gets its batches as `then`.
  struct work {
    std::string id, kind;
    json body;
    std::string then;
    json context = nullptr;
    std::string resource = {};
  };

  answer reply = done();
  /// The kind's own rows that changed: ["+", table, key, {column: value}], ["-", …], or ["~", table, key,
  /// {column: [before, after]}].
  json rows = json::array();
  std::vector<message> messages;
  std::vector<work> effects, feeds;
  /// Effects that it wants to end.
  std::vector<std::string> cancelled;
  /// {"stream":…,"seq":…,"entry":…}
  json entries = json::array();
  bool retired = false;
};

class actor_in_memory {
 public:
  /// Throws std::logic_error naming the row at fault, and storage::error for a migration that does.
  actor_in_memory(const kind&, std::string_view key);
  ~actor_in_memory();
  actor_in_memory(const actor_in_memory&) = delete;
  actor_in_memory& operator=(const actor_in_memory&) = delete;

  /// One command, one turn. A body that does not fit its schema is answered as the host answers it, and so is
  /// an exception of the handler: nothing of that turn is kept. An unknown name throws std::logic_error.
  shown_turn apply(std::string_view command, json body = json::object(), std::string principal = "ada",
                   sender from = {sender::type::client, {}});
  /// The outcome of an effect or of a question, given to the command that waits for it.
  shown_turn succeed(const shown_turn::work&, json result = json::object());
  shown_turn fail(const shown_turn::work&, problem);
  shown_turn answered(const shown_turn::message&, const answer&);

  answer ask(std::string_view query, json body = json::object());
  json snapshot();
  /// Timers that are set: [{"name":…,"due":…,"command":…,"body":…}], the next one first.
  json timers();
  /// Rings every timer that is due then, each in a turn of its own.
  std::vector<shown_turn> advance(std::chrono::milliseconds);
  timestamp now() const;

 private:
  class owner;
  shown_turn outcome_of(const shown_turn::work&, json body);
  std::unique_ptr<owner> owner_;
};

}  // namespace troupe::testing
