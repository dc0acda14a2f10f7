#include "net/gateway/ws_topics.h"

#include <boost/asio/steady_timer.hpp>

#include "net/gateway/answers.h"

namespace troupe::gateway {

namespace {

wire::shared_bytes bytes(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

std::size_t size_of(const stream_page& page) {
  std::size_t total = 0;
  for (const auto& one : page.entries) total += one.data->size() + 64;
  return total;
}

}  // namespace

wire::shared_bytes topic::gone_frame(const std::string& reason) {
  ended_ = true;
  return bytes("{\"op\":\"gone\",\"topic\":" + wire::json_quote(name) +
               ",\"reason\":" + wire::json_quote(reason) + "}");
}

void snapshot_topic::on_snapshot(snapshot_ptr frame) {
  {
    std::lock_guard lock(mutex_);
    if (newest_) context_.counted.snapshot_skipped();
    newest_ = std::move(frame);
  }
  dirty();
}

void snapshot_topic::on_gone(const key&, const std::string& reason) {
  {
    std::lock_guard lock(mutex_);
    gone_ = reason;
  }
  dirty();
}

wire::shared_bytes snapshot_topic::next() {
  snapshot_ptr frame;
  std::optional<std::string> gone;
  {
    std::lock_guard lock(mutex_);
    frame = std::exchange(newest_, nullptr);
    gone = gone_;
  }
  if (gone) return gone_frame(*gone);
  // What this connection has seen never goes back, whatever the order of a subscribe's answer and a
  // publication.
  if (!frame || (sent && sent->incarnation == frame->at.incarnation && sent->revision >= frame->at.revision))
    return {};
  sent = frame->at;
  auto from = std::exchange(base, patches ? frame : nullptr);
  if (from)
    if (auto patch = context_.frames.patch_of(from, frame)) return patch;
  return context_.frames.text_of(frame);
}

void stream_topic::on_entries(page_ptr page) {
  {
    std::lock_guard lock(mutex_);
    live_bytes_ += size_of(*page);
    live_.push_back(std::move(page));
    if (live_.size() > max_live_pages || live_bytes_ > max_live_bytes) {
      live_.clear();
      live_bytes_ = 0;
      missed_ = true;
    }
  }
  dirty();
}

void stream_topic::on_gone(const key&, const std::string& reason) {
  {
    std::lock_guard lock(mutex_);
    gone_ = reason;
  }
  dirty();
}

wire::shared_bytes stream_topic::next() {
  std::optional<read_result> read_now;
  {
    std::lock_guard lock(mutex_);
    if (gone_) return gone_frame(*gone_);
    read_now = std::exchange(read_, std::nullopt);
    if (std::exchange(missed_, false)) behind_ = true;
  }
  if (read_now) {
    reading_ = false;
    if (auto frame = take_read(std::move(*read_now))) return frame;
    if (ended_) return {};
  }
  while (!behind_) {
    page_ptr page;
    {
      std::lock_guard lock(mutex_);
      if (live_.empty()) return {};
      page = std::move(live_.front());
      live_.pop_front();
      live_bytes_ -= size_of(*page);
    }
    bool same = incarnation_.empty() || page->incarnation == incarnation_;
    auto last = page->entries.empty() ? page->after : page->entries.back().seq;
    if (same && last <= cursor_) continue;
    if (same && page->after == cursor_) return take_page(*page);
    behind_ = true;
  }
  if (!reading_) read();
  return {};
}

void stream_topic::read() {
  reading_ = true;
  {
    // Everything durable up to now is in what is read; later pages come again as live ones.
    std::lock_guard lock(mutex_);
    live_.clear();
    live_bytes_ = 0;
  }
  context_->actors.read_stream(of, stream, cursor_, page_entries, user_,
                               [weak = weak_from_this()](read_result r) {
                                 auto self = weak.lock();
                                 if (!self) return;
                                 {
                                   std::lock_guard lock(self->mutex_);
                                   self->read_ = std::move(r);
                                 }
                                 self->dirty();
                               });
}

wire::shared_bytes stream_topic::take_read(read_result r) {
  if (auto* why = std::get_if<problem>(&r)) {
    if (why->status != 503 && why->status != 504 && why->status != 429) return gone_frame(why->code);
    reading_ = true;
    auto pause = std::make_shared<asio::steady_timer>(context_->executor, read_again_after);
    pause->async_wait([weak = weak_from_this(), pause](const auto&) {
      auto self = weak.lock();
      if (!self) return;
      {
        // An empty page at the cursor asks for another read.
        std::lock_guard lock(self->mutex_);
        self->read_ = page_ptr();
      }
      self->dirty();
    });
    return {};
  }
  auto page = std::get<page_ptr>(std::move(r));
  if (!page) return {};
  if (!incarnation_.empty() && page->incarnation != incarnation_) {
    // Another life of the actor: its numbers mean other entries.
    cursor_ = page->first - 1;
    return reset(*page);
  }
  if (page->after != cursor_) {
    cursor_ = page->after;
    auto told = reset(*page);
    return told;
  }
  behind_ = !page->entries.empty() && page->entries.back().seq < page->end;
  if (page->entries.empty()) {
    incarnation_ = page->incarnation;
    return {};
  }
  return take_page(*page);
}

wire::shared_bytes stream_topic::reset(const stream_page& page) {
  incarnation_ = page.incarnation;
  behind_ = true;
  return bytes("{\"op\":\"reset\",\"topic\":" + wire::json_quote(name) + ",\"incarnation\":" +
               wire::json_quote(page.incarnation) + ",\"first\":" + std::to_string(cursor_ + 1) + "}");
}

wire::shared_bytes stream_topic::take_page(const stream_page& page) {
  incarnation_ = page.incarnation;
  cursor_ = page.entries.back().seq;
  return bytes("{\"op\":\"entries\",\"topic\":" + wire::json_quote(name) + "," + page_members(page) + "}");
}

void events_topic::take(const turn_event& e) {
  json data{{"actor", e.actor},       {"kind", e.kind},        {"turn", e.turn},
            {"revision", e.revision}, {"time", to_ms(e.time)}, {"duration_us", e.duration_us}};
  auto& commands = data["commands"] = json::array();
  for (const auto& one : e.commands) {
    json item{{"name", one.name}, {"ok", one.ok}, {"duration_us", one.duration_us}};
    if (!one.principal.empty()) item["principal"] = one.principal;
    if (!one.code.empty()) item["code"] = one.code;
    commands.push_back(std::move(item));
  }
  auto text = encode(data);
  {
    std::lock_guard lock(mutex_);
    auto seq = ++last_;
    waiting_.emplace_back(seq, "{\"seq\":" + std::to_string(seq) +
                                   ",\"time\":" + std::to_string(to_ms(e.time)) + ",\"data\":" + text + "}");
    if (waiting_.size() > max_waiting) waiting_.pop_front();
  }
  dirty();
}

wire::shared_bytes events_topic::next() {
  std::string entries;
  std::uint64_t first = 0, last = 0, end = 0;
  {
    std::lock_guard lock(mutex_);
    if (waiting_.empty()) return {};
    first = waiting_.front().first;
    if (first != cursor_ + 1) {
      cursor_ = first - 1;
      return bytes("{\"op\":\"reset\",\"topic\":" + wire::json_quote(name) +
                   ",\"first\":" + std::to_string(first) + "}");
    }
    for (std::size_t i = 0; i < frame_events && !waiting_.empty(); ++i) {
      if (i) entries += ',';
      entries += waiting_.front().second;
      last = waiting_.front().first;
      waiting_.pop_front();
    }
    end = last_;
  }
  auto after = std::exchange(cursor_, last);
  return bytes("{\"op\":\"entries\",\"topic\":" + wire::json_quote(name) +
               ",\"after\":" + std::to_string(after) + ",\"first\":" + std::to_string(first) + ",\"last\":" +
               std::to_string(last) + ",\"end\":" + std::to_string(end) + ",\"entries\":[" + entries + "]}");
}

}  // namespace troupe::gateway
