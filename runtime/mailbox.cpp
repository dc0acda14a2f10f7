#include "runtime/mailbox.h"

namespace troupe {
namespace {

constexpr int max_passed = 16;

std::chrono::steady_clock::time_point deadline_of(const mailbox_item& item) {
  if (const auto* c = std::get_if<client_item>(&item)) return c->deadline;
  if (const auto* r = std::get_if<read_item>(&item)) return r->deadline;
  return std::chrono::steady_clock::time_point::max();
}

}  // namespace

pushed mailbox::push(mailbox_item& item, lane l, std::size_t bytes, bool client) {
  std::lock_guard lock(mutex_);
  if (closed_) return pushed::closed;
  const auto share = [&](std::size_t all) { return client ? all / 4 * 3 : all; };
  if (items_ >= share(max_items_) || bytes_ + bytes > share(max_bytes_)) return pushed::full;
  lane_of(l).push_back({std::move(item), bytes});
  ++items_;
  bytes_ += bytes;
  return pushed::accepted;
}

void mailbox::push_front(mailbox_item item, lane l, std::size_t bytes) {
  std::lock_guard lock(mutex_);
  lane_of(l).push_front({std::move(item), bytes});
  ++items_;
  bytes_ += bytes;
}

std::optional<lane> mailbox::next_lane() const {
  const bool interactive = !lanes_[0].empty(), background = !lanes_[1].empty();
  if (!interactive && !background) return std::nullopt;
  if (background && (!interactive || passed_ >= max_passed)) return lane::background;
  return lane::interactive;
}

std::vector<mailbox::taken> mailbox::take(std::size_t max_commands, std::size_t max_bytes) {
  std::vector<taken> out;
  std::lock_guard lock(mutex_);
  std::size_t total = 0;
  while (out.size() < max_commands) {
    const auto l = next_lane();
    if (!l) break;
    auto& queue = lane_of(*l);
    auto& front = queue.front();
    const bool read = std::holds_alternative<read_item>(front.item);
    if (!out.empty() && (read || total + front.bytes > max_bytes)) break;
    passed_ = *l == lane::background ? 0 : passed_ + 1;
    total += front.bytes;
    --items_;
    bytes_ -= front.bytes;
    out.push_back({std::move(front.item), *l, front.bytes});
    queue.pop_front();
    if (read) break;
  }
  return out;
}

std::vector<mailbox_item> mailbox::take_expired(std::chrono::steady_clock::time_point now) {
  std::vector<mailbox_item> out;
  std::lock_guard lock(mutex_);
  for (auto& queue : lanes_) {
    for (auto it = queue.begin(); it != queue.end();) {
      if (deadline_of(it->item) > now) {
        ++it;
        continue;
      }
      --items_;
      bytes_ -= it->bytes;
      out.push_back(std::move(it->item));
      it = queue.erase(it);
    }
  }
  return out;
}

std::vector<mailbox::taken> mailbox::take_all() {
  std::vector<taken> out;
  std::lock_guard lock(mutex_);
  for (const auto l : {lane::interactive, lane::background}) {
    for (auto& s : lane_of(l)) out.push_back({std::move(s.item), l, s.bytes});
    lane_of(l).clear();
  }
  items_ = bytes_ = 0;
  return out;
}

std::vector<mailbox::waiting_item> mailbox::look(std::size_t limit) const {
  std::vector<waiting_item> out;
  const auto show = [](waiting_item& w, const mailbox_item& item) {
    if (const auto* c = std::get_if<client_item>(&item)) {
      w.type = c->from_host ? "host" : "client";
      w.name = c->command.name;
      w.principal = c->command.principal;
      w.id = c->command.id;
    } else if (const auto* m = std::get_if<message_item>(&item)) {
      w.type = "message";
      w.name = m->is->name;
      w.from = m->is->from.str();
      w.principal = m->is->principal;
      w.id = std::to_string(m->is->number);
    } else if (const auto* o = std::get_if<outcome_item>(&item)) {
      w.type = "outcome";
      w.id = o->effect;
    } else if (const auto* b = std::get_if<batch_item>(&item)) {
      w.type = "batch";
      w.id = b->feed;
    } else if (const auto* e = std::get_if<feed_end_item>(&item)) {
      w.type = "feed end";
      w.id = e->feed;
    } else if (const auto* d = std::get_if<dead_letter_item>(&item)) {
      w.type = "dead letter";
      w.id = std::to_string(d->id);
    } else {
      w.type = "read";
    }
  };
  std::lock_guard lock(mutex_);
  for (const auto l : {lane::interactive, lane::background}) {
    for (const auto& s : lanes_[static_cast<std::size_t>(l)]) {
      if (out.size() == limit) return out;
      show(out.emplace_back(waiting_item{l, {}, {}, {}, {}, {}}), s.item);
    }
  }
  return out;
}

bool mailbox::empty() const {
  std::lock_guard lock(mutex_);
  return items_ == 0;
}

std::size_t mailbox::size() const {
  std::lock_guard lock(mutex_);
  return items_;
}

bool mailbox::close_if_empty() {
  std::lock_guard lock(mutex_);
  if (items_ == 0) closed_ = true;
  return closed_;
}

}  // namespace troupe
