#include "runtime/hub.h"

#include <algorithm>
#include <shared_mutex>

namespace troupe {

struct hub::member {
  std::shared_ptr<subscriber> who;
  std::mutex order;
  /// What it was given last: an older frame that arrives later is dropped. Guarded by `order`.
  revision_id last;
  bool any = false;
  bool ended = false;
};

struct hub::turn_watch {
  std::string prefix;
  std::function<void(const turn_event&)> sink;
  /// Shared by those who are inside the sink: it may hold what ends with the subscription.
  std::shared_mutex in_use = {};
  bool ended = false;
};

class subscription::impl {
 public:
  ~impl() {
    if (turns) {
      {
        std::lock_guard lock(owner->mutex_);
        std::erase(owner->turns_, turns);
        --owner->count_;
      }
      std::lock_guard lock(turns->in_use);
      turns->ended = true;
      return;
    }
    owner->drop(topic, member.get());
    std::lock_guard lock(member->order);
    member->ended = true;
  }

  hub* owner;
  std::string topic;
  std::shared_ptr<hub::member> member;
  std::shared_ptr<hub::turn_watch> turns;
};

namespace {

template <class Member>
void give(Member& m, const snapshot_ptr& frame) {
  std::lock_guard lock(m.order);
  if (m.ended) return;
  if (m.any && m.last.incarnation == frame->at.incarnation && m.last.revision >= frame->at.revision) return;
  m.any = true;
  m.last = frame->at;
  m.who->on_snapshot(frame);
}

}  // namespace

subscription hub::add(const std::string& topic, std::shared_ptr<subscriber> who) {
  auto m = std::make_shared<member>();
  m->who = std::move(who);
  auto s = std::make_shared<subscription::impl>();
  s->owner = this;
  s->topic = topic;
  s->member = m;
  std::lock_guard lock(mutex_);
  topics_[topic].push_back(std::move(m));
  ++count_;
  return subscription(std::move(s));
}

subscription hub::add_turns(std::string prefix, std::function<void(const turn_event&)> sink) {
  auto s = std::make_shared<subscription::impl>();
  s->owner = this;
  s->turns = std::make_shared<turn_watch>();
  s->turns->prefix = std::move(prefix);
  s->turns->sink = std::move(sink);
  std::lock_guard lock(mutex_);
  turns_.push_back(s->turns);
  ++count_;
  return subscription(std::move(s));
}

void hub::drop(const std::string& topic, const member* who) {
  std::lock_guard lock(mutex_);
  const auto it = topics_.find(topic);
  if (it == topics_.end()) return;
  const auto gone = std::erase_if(it->second, [&](const auto& m) { return m.get() == who; });
  count_ -= gone;
  if (it->second.empty()) topics_.erase(it);
}

bool hub::wanted(const std::string& topic) const {
  std::lock_guard lock(mutex_);
  return topics_.contains(topic);
}

bool hub::turns_wanted() const {
  std::lock_guard lock(mutex_);
  return !turns_.empty();
}

hub::members hub::of(const std::string& topic) const {
  std::lock_guard lock(mutex_);
  const auto it = topics_.find(topic);
  return it == topics_.end() ? members{} : it->second;
}

void hub::publish(snapshot_ptr frame) {
  keep(frame);
  for (const auto& m : of(topic_of(frame->actor))) give(*m, frame);
}

void hub::deliver(const subscription& s, snapshot_ptr frame) {
  if (const auto& i = s.impl_; i && i->member) give(*i->member, frame);
}

void hub::publish(page_ptr page) {
  for (const auto& m : of(topic_of(page->actor, page->stream))) {
    std::lock_guard lock(m->order);
    if (!m->ended) m->who->on_entries(page);
  }
}

void hub::publish(const turn_event& event) {
  std::vector<std::shared_ptr<turn_watch>> watches;
  {
    std::lock_guard lock(mutex_);
    watches = turns_;
  }
  for (const auto& w : watches) {
    const auto& p = w->prefix;
    const bool below = event.actor.starts_with(p) && (p.empty() || event.actor.size() == p.size() ||
                                                      p.back() == '/' || event.actor[p.size()] == '/');
    if (!below) continue;
    std::shared_lock lock(w->in_use);
    if (!w->ended) w->sink(event);
  }
}

void hub::gone(const key& k, const std::string& reason) {
  std::vector<members> all;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [topic, list] : topics_) {
      if (topic == k.str() || topic.starts_with(k.str() + '#')) all.push_back(list);
    }
    if (const auto it = cache_at_.find(k.str()); it != cache_at_.end()) {
      cache_bytes_ -= (*it->second)->data.size();
      cache_.erase(it->second);
      cache_at_.erase(it);
    }
  }
  for (const auto& list : all) {
    for (const auto& m : list) {
      std::lock_guard lock(m->order);
      if (!m->ended) m->who->on_gone(k, reason);
      m->any = false;
    }
  }
}

snapshot_ptr hub::cached(const key& k, const revision_id& at) {
  std::lock_guard lock(mutex_);
  const auto it = cache_at_.find(k.str());
  if (it == cache_at_.end() || (*it->second)->at != at) return nullptr;
  cache_.splice(cache_.begin(), cache_, it->second);
  return *it->second;
}

void hub::keep(snapshot_ptr frame) {
  std::lock_guard lock(mutex_);
  const auto& name = frame->actor.str();
  if (const auto it = cache_at_.find(name); it != cache_at_.end()) {
    const auto& old = *it->second;
    if (old->at.incarnation == frame->at.incarnation && old->at.revision > frame->at.revision) return;
    cache_bytes_ -= old->data.size();
    cache_.erase(it->second);
    cache_at_.erase(it);
  }
  cache_bytes_ += frame->data.size();
  cache_.push_front(frame);
  cache_at_[name] = cache_.begin();
  evict();
}

void hub::evict() {
  while (cache_bytes_ > cache_limit_ && cache_.size() > 1) {
    cache_bytes_ -= cache_.back()->data.size();
    cache_at_.erase(cache_.back()->actor.str());
    cache_.pop_back();
  }
}

std::size_t hub::subscribers() const {
  std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace troupe
