// What a process said, on disk, numbered: so that a reader who was away finds it.
//
// Records have sequence numbers 1, 2, 3, … without gaps and lie in segment files; the oldest segments go
// first. Until a consumer acknowledges, the spool is a ring: of `ring_records` records and of
// `capacity_bytes`, and who reads too slowly misses some. From the first acknowledgement on (0 counts, it
// says "I do"), for good, nothing is dropped that is not acknowledged; then the spool can be full, and its
// writer has to stop. Readers each have a cursor.
//
// Nothing is synced to the disk: the spool outlives the end of this program, not the machine's, which ends
// the processes too. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/wire/signal.h"
#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

struct spool_options {
  std::uint64_t capacity_bytes = 64 << 20;
  std::uint64_t ring_records = 1024;      // 0: bytes alone bound the ring
  std::uint64_t segment_bytes = 4 << 20;  // what is dropped at once
};

struct spool_record {
  std::uint64_t sequence = 0;
  std::int64_t time_ms = 0;  // Unix
  std::uint32_t kind = 0;    // the writer's own
  std::string bytes;
};

class spool {
 public:
  // Makes the folder or continues with what it holds: a record that was cut by the end of the program is
  // dropped.
  static outcome<std::unique_ptr<spool>> open(std::string folder, spool_options options);

  // The number of the new record. ENOSPC and the like lose nothing: the caller keeps the bytes and tries
  // again. Takes a record even when full(), so that the bound is exceeded by what one read brought, never
  // silently cut.
  outcome<std::uint64_t> append(std::uint32_t kind, std::int64_t time_ms, std::string_view bytes);

  // The oldest record that a reader can get and the newest; first() == last() + 1 when there is none.
  std::uint64_t first() const;
  std::uint64_t last() const { return last_; }

  // Everything up to `sequence` may go. An older number changes nothing; beyond last() it is EINVAL.
  outcome<done> acknowledge(std::uint64_t sequence);
  bool has_consumer() const { return has_consumer_; }
  std::uint64_t acknowledged() const { return acknowledged_; }

  // Bytes, with headers, that are neither acknowledged nor replaceable. Always 0 without a consumer.
  std::uint64_t held_bytes() const { return has_consumer_ ? unacknowledged_bytes_ : 0; }
  bool full() const { return held_bytes() >= options_.capacity_bytes; }
  std::uint64_t stored_bytes() const { return stored_bytes_; }

  // Narrowing takes effect with the next record.
  void set_capacity(std::uint64_t bytes) { options_.capacity_bytes = bytes; }

  // Raised after each append and acknowledgement, and by wake(); removed again by the same number.
  std::uint64_t watch(wire::signal who);
  void unwatch(std::uint64_t watcher);
  void wake() const;

  // A reader's place. Reads what is there without waiting; must not outlive the spool.
  class cursor {
   public:
    // The first record after `after` will be the next, or the oldest that is left.
    explicit cursor(spool& of, std::uint64_t after = 0) : spool_(&of), next_(after + 1) {}

    // Nothing when the reader is at the end.
    outcome<std::optional<spool_record>> next();
    std::uint64_t next_sequence() const { return next_; }

   private:
    friend class spool;
    outcome<bool> find();

    spool* spool_;
    std::uint64_t next_;
    descriptor file_;
    std::uint64_t segment_ = 0;  // the open segment's first number; 0: none is open
    std::uint64_t offset_ = 0;   // of record next_ in it
  };

 private:
  struct segment {
    std::uint64_t bytes = 0;
    std::uint64_t last = 0;
  };

  spool(std::string folder, spool_options options) : folder_(std::move(folder)), options_(options) {}
  outcome<done> recover();
  outcome<done> start_segment();
  outcome<done> store_acknowledgement(std::uint64_t sequence);
  std::string segment_path(std::uint64_t first) const;
  void drop_old();
  void count_unacknowledged();

  std::string folder_;
  spool_options options_;
  std::map<std::uint64_t, segment> segments_;  // by their first number
  descriptor active_;                          // the last segment, at its end
  std::uint64_t last_ = 0;
  std::uint64_t stored_bytes_ = 0;
  bool has_consumer_ = false;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t unacknowledged_bytes_ = 0;
  std::unique_ptr<cursor> acknowledged_at_;  // reads sizes as the acknowledgement advances
  std::uint64_t next_watcher_ = 1;
  std::map<std::uint64_t, wire::signal> watchers_;
};

}  // namespace troupe::sandboxd
