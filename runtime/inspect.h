// What happened here, and why: read access to actors for people. Uses short-lived read-only connections beside the
// running actor, which it never delays. Blocking (at most 2 s): call from a thread that may block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <nlohmann/json_fwd.hpp>

#include "runtime/key.h"
#include "runtime/problem.h"

namespace troupe {

class host;

class inspector {
 public:
  using result = std::variant<nlohmann::json, problem>;

  explicit inspector(host& h) : host_(h) {}

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
  /// Meta, revision, schema versions, table sizes, mailbox, outbox, effects, feeds, timers, peers, dead, statistics.
  result actor(const key&) const;
  /// {"history":[{seq,turn,time,from,principal,id,name,body,ok,result|error,duration_us,changes:[…]}],"next":seq|null}
  result history(const key&, std::uint64_t after, std::size_t limit) const;
  /// {"columns":[…],"rows":[[…]],"truncated":bool}; one read-only statement, 2 s, 10,000 rows.
  result query(const key&, std::string_view sql) const;
  /// Threads, awake, rates, histograms, subscribers, uptime, build.
  nlohmann::json host_state() const;

 private:
  host& host_;
};

}  // namespace troupe
