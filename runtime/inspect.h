// What happened here, and why: read access to actors for people, of a running host or of a data folder at
// rest. Uses short-lived read-only connections beside the running actors, which it never delays. Blocking (at
// most a few seconds): call from a thread that may block. Columns that a kind calls secret are never shown.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "runtime/key.h"
#include "runtime/problem.h"

namespace troupe {

class catalog;
class host;
class host_core;
class known_kind;
struct kind;

/// Thread-safe.
class inspector {
 public:
  using result = std::variant<nlohmann::json, problem>;

  explicit inspector(host& h);
  /// At rest: nothing is awake, no mailbox holds anything. Throws storage::error when there is no data
  /// folder.
  inspector(std::filesystem::path data, const std::vector<const kind*>& kinds);
  ~inspector();

  struct filter {
    std::string prefix;
    std::string kind;
    std::optional<bool> awake;
    std::size_t limit = 100;
    /// Key of the last row of the page before.
    std::string after;
  };
  /// {"actors":[{key,kind,awake,bytes,last_active,mailbox,outbox,effects,timers,failures,quarantined}],"next":key|null}
  result actors(const filter&) const;
  /// Meta, revision, schema versions, table sizes, mailbox, outbox, effects, feeds, timers, peers, dead,
  /// statistics.
  result actor(const key&) const;
  /// {"columns":[…],"rows":[[…]],"truncated":bool}; one read-only statement, 2 s, 10,000 rows.
  result query(const key&, std::string_view sql) const;
  /// Threads, awake, rates, histograms, subscribers, uptime, build; empty at rest.
  nlohmann::json host_state() const;

  // The past of one actor (inspect_past.cpp), from the row changes that its turns recorded: as far back as
  // its history is kept. Changes have the form of storage/changes.h.

  /// {"history":[{seq,turn,time,from,principal,id,name,body,ok,result|error,duration_us,changes:[…]}],"next":seq|null};
  /// `newest`: the last ones instead of those after `after`.
  result history(const key&, std::uint64_t after, std::size_t limit, bool newest = false) const;
  /// Its rows as they were after a turn:
  /// {"turn","time","oldest","tables":{NAME:{"key":[…],"rows":[{…}],"truncated"}}}.
  result at(const key&, std::uint64_t turn, std::string_view table = {}) const;
  /// What differs between its rows after one turn and after a later one:
  /// {"from","to","commands","changes":[…], "truncated"}. A row whose key changed is told as one that went
  /// and one that came.
  result diff(const key&, std::uint64_t from, std::uint64_t to) const;
  /// The commands that changed one row, the last one first: {"changes":[{…as in history,
  /// "change":…}],"oldest"}. `row` is the value of its key column, or a JSON array of several.
  result why(const key&, std::string_view table, std::string_view row, std::size_t limit = 10) const;

  // What waits (inspect_waiting.cpp). `below` is a key, or what keys begin with.

  /// {"queue":[{lane,type,name,from,principal,id}],"in_all"}: the mailbox, in the order in which it will be
  /// taken.
  result queue(const key&) const;
  enum class waiting { outbox, effects, feeds, timers };
  /// {"outbox"|…:[{"actor",…}],"actors","truncated"}
  result list(waiting, std::string_view below) const;
  /// {"quarantined":[{key,why}],"messages":[{actor,id,time,target,name,error}],"looked_at","truncated"}
  result dead(std::string_view below) const;
  /// {"edges":[{from,to,messages,waiting}],"looked_at","truncated"}: who has sent how many messages to whom.
  result graph(std::string_view below) const;

 private:
  std::filesystem::path file(const key&) const;
  /// The kind of an actor that may be looked at, or why not.
  std::variant<const known_kind*, problem> known(const key&) const;
  template <class Look>
  result look(const key&, Look&&) const;
  std::vector<key> some_below(std::string_view below, std::string_view sql, bool& truncated) const;

  const std::shared_ptr<const catalog> own_kinds_;  // at rest
  host* const host_ = nullptr;                      // running
  host_core* const live_ = nullptr;
  const catalog& kinds_;
  const std::filesystem::path data_;
};

}  // namespace troupe
