#include "runtime/outbox.h"

#include <algorithm>

#include "runtime/pause.h"

namespace troupe {
void outbox::add(message_ptr m) {
  ++size_;
  bytes_ += m->bytes;
  auto& l = lines_[{m->to.str(), m->in}];
  l.unsettled.push_back(std::move(m));
}

std::vector<message_ptr> outbox::settle(const settlement& s) {
  std::vector<message_ptr> rejected;
  const auto it = lines_.find({s.target.str(), s.in});
  if (it == lines_.end()) return rejected;
  auto& l = it->second;
  while (!l.unsettled.empty() && l.unsettled.front()->number <= s.upto) {
    const auto& m = l.unsettled.front();
    if (std::ranges::any_of(s.rejected, [&](const auto& r) { return r.number == m->number; }))
      rejected.push_back(m);
    drop_front(l);
    l.pause = {};
  }
  if (l.unsettled.empty()) lines_.erase(it);
  return rejected;
}

void outbox::drop_front(line& l) {
  --size_;
  bytes_ -= l.unsettled.front()->bytes;
  l.unsettled.pop_front();
  if (l.sent > 0) --l.sent;
}

void outbox::retry(const pair& p, time now) {
  const auto it = lines_.find(p);
  if (it == lines_.end()) return;
  it->second.sent = 0;
  // Several refused at once are one failure: the pause grows once for them.
  if (!it->second.paused_until) hold(it->second, now);
}

void outbox::hold(line& l, time now) {
  l.pause = longer(l.pause);
  l.paused_until = now + l.pause;
}

bool outbox::more_to_send() const {
  return std::ranges::any_of(lines_, [](const auto& l) { return l.second.sent < l.second.unsettled.size(); });
}

std::optional<outbox::time> outbox::next_retry() const {
  std::optional<time> next;
  for (const auto& [to, l] : lines_) {
    if (l.paused_until && (!next || *l.paused_until < *next)) next = l.paused_until;
  }
  return next;
}

}  // namespace troupe
