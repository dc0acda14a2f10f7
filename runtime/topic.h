// What subscribers get: snapshots and stream entries, encoded once and shared by all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/key.h"
#include "runtime/view.h"

namespace troupe {

/// Names of one state of one actor: what `have`, ETags and replies carry.
struct revision_id {
  std::string incarnation;
  std::uint64_t revision = 0;

  bool operator==(const revision_id&) const = default;
};

struct snapshot_frame {
  key actor;
  revision_id at;
  std::uint64_t turn = 0;
  /// JSON text of the kind's snapshot.
  std::string data;
};
using snapshot_ptr = std::shared_ptr<const snapshot_frame>;

struct stream_entry {
  std::uint64_t seq = 0;
  std::uint64_t turn = 0;
  timestamp time;
  /// JSON text. In pages over 64 KiB it is a stub {"stub":true,"size","sha256"}; read_entry() gives it whole.
  std::shared_ptr<const std::string> data;
};

/// Entries after `after` (exclusive), in order, without gap. At most 256 entries or 256 KiB.
struct stream_page {
  key actor;
  std::string stream;
  std::string incarnation;
  std::uint64_t after = 0;
  /// Oldest kept and newest sequence number at the time of reading.
  std::uint64_t first = 1;
  std::uint64_t end = 0;
  std::vector<stream_entry> entries;
};
using page_ptr = std::shared_ptr<const stream_page>;

/// Implemented by who wants to know. Called from scheduler threads, in order per topic, never after the
/// subscription is dropped for good; must return at once (hand over to an own executor) and must not call
/// back into the host synchronously.
class subscriber {
 public:
  virtual ~subscriber() = default;
  /// Only for snapshot topics. Revisions never go back within an incarnation.
  virtual void on_snapshot(snapshot_ptr) {}
  /// Only for stream topics: newly durable entries. A reader whose cursor is not page->after reads what it
  /// misses with host::read_stream.
  virtual void on_entries(page_ptr) {}
  /// The actor was deleted; nothing follows.
  virtual void on_gone(const key&, const std::string& reason) { (void)reason; }
};

/// Ends the subscription when it is destroyed. Movable.
class subscription {
 public:
  class impl;
  subscription() = default;
  explicit subscription(std::shared_ptr<impl> i) : impl_(std::move(i)) {}

  bool empty() const { return !impl_; }
  /// Refers to it without keeping it.
  class reference {
   public:
    explicit reference(std::weak_ptr<impl> i) : impl_(std::move(i)) {}
    subscription lock() const { return subscription(impl_.lock()); }

   private:
    std::weak_ptr<impl> impl_;
  };
  reference weak() const { return reference(impl_); }

 private:
  friend class hub;
  std::shared_ptr<impl> impl_;
};

/// One turn as the inspector's live stream shows it.
struct turn_event {
  std::string actor;
  std::string kind;
  std::uint64_t turn = 0;
  std::uint64_t revision = 0;
  timestamp time;
  std::int64_t duration_us = 0;
  struct item {
    std::string name;
    std::string principal;
    bool ok = true;
    std::string code;
    std::int64_t duration_us = 0;
  };
  std::vector<item> commands;
};

}  // namespace troupe
