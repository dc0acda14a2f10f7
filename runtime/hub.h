// Who is subscribed to what, and the cache of encoded snapshots.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/topic.h"

namespace troupe {

/// Thread-safe. Subscribers are called outside the lock, so that a slow one delays only its caller's next
/// frame; none of them may block (topic.h).
class hub {
 public:
  explicit hub(std::size_t cache_bytes) : cache_limit_(cache_bytes) {}

  subscription add(const std::string& topic, std::shared_ptr<subscriber>);
  subscription add_turns(std::string prefix, std::function<void(const turn_event&)>);

  bool wanted(const std::string& topic) const;
  bool turns_wanted() const;

  /// Keeps it in the cache and hands it to the topic's subscribers.
  void publish(snapshot_ptr);
  /// To one subscriber: the answer to its subscribe. Dropped when it already has a newer one.
  void deliver(const subscription&, snapshot_ptr);
  void publish(page_ptr);
  void publish(const turn_event&);
  /// Tells snapshot and stream subscribers of an actor and forgets it.
  void gone(const key&, const std::string& reason);

  /// The cached frame, if it is of exactly this state.
  snapshot_ptr cached(const key&, const revision_id&);
  void keep(snapshot_ptr);

  std::size_t subscribers() const;

  static std::string topic_of(const key& k) { return k.str(); }
  static std::string topic_of(const key& k, std::string_view stream) {
    return k.str() + '#' + std::string(stream);
  }

 private:
  friend class subscription::impl;
  struct member;
  struct turn_watch;
  using members = std::vector<std::shared_ptr<member>>;

  members of(const std::string& topic) const;
  void drop(const std::string& topic, const member*);
  void evict();

  const std::size_t cache_limit_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, members> topics_;
  std::vector<std::shared_ptr<turn_watch>> turns_;
  std::size_t count_ = 0;

  /// Most recently used first.
  std::list<snapshot_ptr> cache_;
  std::unordered_map<std::string, std::list<snapshot_ptr>::iterator> cache_at_;
  std::size_t cache_bytes_ = 0;
};

}  // namespace troupe
