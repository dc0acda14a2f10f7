// What one WebSocket subscribes to, and what waits to be sent of it. Private to this folder.
//
// A topic is filled from scheduler threads and emptied by its connection's sender. Whatever the reader's pace
// it holds at most the newest snapshot, or max_live_bytes of a stream's live pages: beyond those the stream
// falls behind and is read by cursor.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "net/gateway/context.h"

namespace troupe::gateway {

// Where a topic reports that it has something to send. Any thread.
using on_dirty = std::function<void()>;

class topic {
 public:
  explicit topic(std::string n) : name(std::move(n)) {}
  virtual ~topic() = default;
  topic(const topic&) = delete;
  topic& operator=(const topic&) = delete;

  // The next frame, or nothing for now. On the connection's strand.
  virtual wire::shared_bytes next() = 0;
  virtual bool is_stream() const = 0;
  // True once next() has nothing more to give for ever: the actor is gone and that has been said.
  bool ended() const { return ended_; }

  const std::string name;
  // Set before it is shared, on the strand.
  on_dirty dirty;
  // Frames go out only after the reply to the subscribe; on the strand.
  bool ready = false;
  // The reader's standing changed while the host was being asked: the answer may be of before. On the strand.
  bool ask_again = false;
  // True while it stands in its connection's list of what has something to send.
  std::atomic<bool> listed{false};

 protected:
  wire::shared_bytes gone_frame(const std::string& reason);
  bool ended_ = false;
};

class snapshot_topic final : public topic, public subscriber {
 public:
  snapshot_topic(std::string topic_name, key k, bool by_patches, context& c)
      : topic(std::move(topic_name)), of(std::move(k)), patches(by_patches), context_(c) {}

  wire::shared_bytes next() override;
  bool is_stream() const override { return false; }
  void on_snapshot(snapshot_ptr) override;
  void on_gone(const key&, const std::string& reason) override;

  const key of;
  const bool patches;
  std::optional<revision_id> sent;  // on the strand
  snapshot_ptr base;                // what was sent last, for the next patch; on the strand

 private:
  context& context_;  // the connection holds it
  std::mutex mutex_;
  snapshot_ptr newest_;
  std::optional<std::string> gone_;
};

class stream_topic final : public topic,
                           public subscriber,
                           public std::enable_shared_from_this<stream_topic> {
 public:
  static constexpr std::size_t max_live_pages = 16;
  static constexpr std::size_t max_live_bytes = 512 * 1024;
  static constexpr std::size_t page_entries = 256;
  // After a read that failed for now (503, 504).
  static constexpr std::chrono::seconds read_again_after{1};

  stream_topic(std::string topic_name, key k, std::string stream_name, std::uint64_t after, std::string user,
               std::shared_ptr<context> c)
      : topic(std::move(topic_name)),
        of(std::move(k)),
        stream(std::move(stream_name)),
        user_(std::move(user)),
        context_(std::move(c)),
        cursor_(after) {}

  wire::shared_bytes next() override;
  bool is_stream() const override { return true; }
  // True while it reads by cursor: then others go between its pages.
  bool behind() const { return behind_; }
  std::uint64_t cursor() const { return cursor_; }
  void on_entries(page_ptr) override;
  void on_gone(const key&, const std::string& reason) override;

  const key of;
  const std::string stream;

 private:
  using read_result = std::variant<page_ptr, problem>;

  void read();
  wire::shared_bytes take_read(read_result);
  wire::shared_bytes take_page(const stream_page&);
  wire::shared_bytes reset(const stream_page&);

  const std::string user_;
  const std::shared_ptr<context> context_;

  // On the strand.
  std::uint64_t cursor_;
  std::string incarnation_;  // empty until the first page
  bool behind_ = true;       // what follows the cursor must be read from the actor
  bool reading_ = false;

  std::mutex mutex_;
  std::deque<page_ptr> live_;
  std::size_t live_bytes_ = 0;
  bool missed_ = false;  // live pages were dropped
  std::optional<read_result> read_;
  std::optional<std::string> gone_;
};

// $host#events: turns as they are committed. Not kept, so a slow reader misses the oldest, and is told by a
// reset.
class events_topic final : public topic {
 public:
  static constexpr std::size_t max_waiting = 1024;
  static constexpr std::size_t frame_events = 128;

  events_topic(std::string topic_name, std::string below)
      : topic(std::move(topic_name)), prefix(std::move(below)) {}

  wire::shared_bytes next() override;
  bool is_stream() const override { return true; }
  void take(const turn_event&);

  const std::string prefix;

 private:
  std::mutex mutex_;
  std::deque<std::pair<std::uint64_t, std::string>> waiting_;
  std::uint64_t last_ = 0;
  std::uint64_t cursor_ = 0;  // on the strand
};

}  // namespace troupe::gateway
