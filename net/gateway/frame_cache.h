// What many connections send of one actor, made once: each snapshot as a frame, and each step from one to the
// next as a patch. Private to this folder. Thread-safe.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "net/wire/message.h"
#include "runtime/topic.h"

namespace troupe::gateway {

class frame_cache {
 public:
  wire::shared_bytes text_of(const snapshot_ptr& frame);
  // RFC 6902, with the hash of what results. Nothing when the whole snapshot is no longer than that, or when
  // `from` is of another life of the actor.
  wire::shared_bytes patch_of(const snapshot_ptr& from, const snapshot_ptr& to);
  // A frame compressed for WebSockets, once for all that are sent these very bytes.
  wire::shared_bytes deflated(const wire::shared_bytes& frame);

 private:
  static constexpr std::size_t sweep_above = 4096;  // topics; those of which nobody sends anything go then
  static constexpr std::size_t recent_bytes = 16 << 20;  // kept for who is still to send them
  static constexpr std::size_t recent_frames = 1024;
  // Below this a snapshot is as quick as finding out what changed in it.
  static constexpr std::size_t patch_above = 256;

  // A frame that is being made by one and awaited by the others.
  struct making {
    std::once_flag once;
    std::weak_ptr<const std::string> text;
  };
  struct entry {
    revision_id at;
    std::map<std::uint64_t, std::shared_ptr<making>> by_base;  // 0: the snapshot itself
  };

  template <class Make>
  wire::shared_bytes made_once(const snapshot_ptr& frame, std::uint64_t base, Make make);

  struct packing {
    std::once_flag once;
    wire::shared_bytes bytes;
  };
  struct packed {
    std::weak_ptr<const std::string> of;
    std::shared_ptr<packing> as;
  };
  static constexpr std::size_t sweep_packed_above = 64;

  std::mutex mutex_;
  std::unordered_map<std::string, entry> entries_;
  std::deque<wire::shared_bytes> recent_;
  std::size_t recent_size_ = 0;
  std::unordered_map<const std::string*, packed> packed_;  // by the frame's place in memory, while it lives
};

}  // namespace troupe::gateway
