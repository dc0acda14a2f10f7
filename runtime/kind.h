// Start here to write a new kind of actor: this table says everything about it. docs/adding-an-actor.md walks
// through one.
//
//   const kind& counter() {
//     static const kind k{
//       .name = "counter",
//       .schema = schemas::counter,
//       .commands = {{"counter.add", from::client("member"), lane::interactive, add, .audit =
//       "counter.added"}}, .queries = {{"counter.history", "viewer", history}}, .snapshot = snapshot,
//     };
//     return k;
//   }
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <vector>

#include "runtime/schema_set.h"
#include "runtime/turn.h"

namespace troupe {

/// Order is promised per (sender or connection, target, lane). At most 16 interactive turns pass a waiting
/// background command.
enum class lane : std::uint8_t { interactive, background };

/// Who may send a command. There is no default: a row without it does not compile.
class from {
 public:
  /// Clients whose role in the actor's organization is at least `role` (the injected authorizer knows the
  /// order).
  static from client(std::string_view role);
  static from parent() { return from(parent_bit); }
  static from child() { return from(child_bit); }
  /// Timers of the actor, and messages that it sends to itself.
  static from self() { return from(self_bit); }
  /// Outcomes of its effects, batches and ends of its feeds.
  static from effect() { return from(effect_bit); }
  /// Answers to its questions (turn::ask).
  static from reply() { return from(reply_bit); }
  /// The program that embeds the runtime.
  static from host() { return from(host_bit); }
  /// Any actor of a kind. `same` is how many leading segments of the keys must agree: 2 keeps it inside
  /// org/acme.
  static from kind(std::string_view name, std::uint8_t same_segments = 2);

  from operator|(from other) const;

  bool allows_host() const { return bits_ & host_bit; }
  bool allows_reply() const { return bits_ & reply_bit; }
  bool allows_effect() const { return bits_ & effect_bit; }
  bool allows_self() const { return bits_ & self_bit; }
  bool allows_actor(const key& sender, const key& target) const;
  /// The role for clients; empty when clients may not send it.
  std::string_view role() const { return role_; }
  /// For documentation: "client(member), parent".
  std::string text() const;

 private:
  enum : std::uint8_t {
    parent_bit = 1,
    child_bit = 2,
    self_bit = 4,
    effect_bit = 8,
    reply_bit = 16,
    host_bit = 32
  };
  struct named {
    std::string_view kind;
    std::uint8_t same_segments;
  };
  explicit from(std::uint8_t bits) : bits_(bits) {}

  std::uint8_t bits_ = 0;
  std::string_view role_;
  std::vector<named> kinds_;
};

template <class F, class Context>
concept handles = std::convertible_to<F, answer (*)(Context&, const json&)>;

/// The function of a row. One of another shape does not compile, and the compiler's message says the right
/// shape.
template <class Context>
class handler {
 public:
  using function = answer (*)(Context&, const json&);

  handler(function f) : call_(f) {}  // NOLINT: a row names its function
  template <class F>
  handler(F f) {  // NOLINT
    constexpr bool command = std::is_same_v<Context, turn>;
    static_assert(handles<F, Context> || !command,
                  "the handler of a command is a function: answer NAME(turn&, const json& body)");
    static_assert(handles<F, Context> || command,
                  "the handler of a query is a function: answer NAME(const view&, const json& body)");
    if constexpr (handles<F, Context>) call_ = f;
  }

  answer operator()(Context& c, const json& body) const { return call_(c, body); }
  explicit operator bool() const { return call_ != nullptr; }

 private:
  function call_ = nullptr;
};

struct command_row {
  std::string_view name;
  from sender;
  lane in;
  handler<turn> handle;
  /// Kind of the audit entry that a success appends through the host's auditor; empty for none.
  std::string_view audit = {};
  /// Whether turn::create with this command makes an actor that does not exist.
  bool creates = false;
};

struct query_row {
  std::string_view name;
  /// The least role of a client.
  std::string_view role;
  /// Reads one actor's own committed tables; at most 50 ms and 10,000 rows.
  handler<const view> handle;
};

struct stream_row {
  std::string_view name;
  std::string_view role;
  /// Entries kept; older ones are pruned inside turns. 0 keeps all.
  std::uint64_t keep = 0;
};

struct kind {
  std::string_view name;
  bool singleton = false;
  schema_set schema;
  std::vector<command_row> commands;
  std::vector<query_row> queries = {};
  /// A bounded JSON object built from the actor's own tables. The runtime adds nothing to it.
  json (*snapshot)(const view&) = nullptr;
  std::string_view snapshot_role = "viewer";
  std::vector<stream_row> streams = {};
  /// Whether history keeps the rows that each command changed, before and after.
  bool record_changes = true;
  /// Columns ("table.column") that history, the inspector and record_changes never show.
  std::vector<std::string_view> secret_columns = {};
};

}  // namespace troupe
