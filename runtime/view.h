// What a query and a snapshot see: the committed rows of one actor, and nothing else.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/key.h"
#include "storage/database.h"

namespace troupe {

/// Wall-clock time, the only kind that rows hold: milliseconds since 1970.
using timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

inline std::int64_t to_ms(timestamp t) {
  return t.time_since_epoch().count();
}
inline timestamp from_ms(std::int64_t ms) {
  return timestamp(std::chrono::milliseconds(ms));
}

/// Where a stream stands: sequence numbers of its oldest kept and its newest entry; 1 and 0 for an empty one.
struct stream_range {
  std::uint64_t first = 1;
  std::uint64_t last = 0;
};

/// Thrown inside a query that reads more rows than it may; the host answers for it.
class too_many_rows {};

/// Read access to one actor's own tables. Lives as long as one query, snapshot or turn, on one thread.
/// `sql` must be text that outlives the actor (a literal): statements are cached by it.
class view {
 public:
  view(const key& self, storage::database& db, timestamp now,
       std::size_t max_rows = static_cast<std::size_t>(-1))
      : self_(self), db_(db), now_(now), rows_left_(max_rows) {}
  view(const view&) = delete;
  view& operator=(const view&) = delete;

  const key& self() const { return self_; }
  timestamp now() const { return now_; }
  std::int64_t now_ms() const { return to_ms(now_); }

  /// Calls f(const storage::row&) for each row; an f that returns bool stops with false.
  template <class F, class... Args>
  void each(std::string_view sql, F&& f, const Args&... args) const {
    db_.each(
        sql,
        [&](const storage::row& r) {
          if (rows_left_-- == 0) throw too_many_rows();
          return f(r);
        },
        args...);
  }
  /// The first column of the first row; nothing when there is no row.
  template <class T, class... Args>
  std::optional<T> one(std::string_view sql, const Args&... args) const {
    return db_.template one<T>(sql, args...);
  }
  stream_range stream(std::string_view name) const;

 protected:
  const key& self_;
  storage::database& db_;
  timestamp now_;

 private:
  mutable std::size_t rows_left_;
};

}  // namespace troupe
