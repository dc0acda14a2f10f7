#include "net/gateway/frame_cache.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "net/gateway/canonical.h"
#include "net/wire/deflate.h"

namespace troupe::gateway {

namespace {

using nlohmann::json;

std::string frame_head(std::string_view op, const snapshot_frame& frame) {
  std::string text = "{\"op\":\"";
  text += op;
  text += "\",\"topic\":";
  text += wire::json_quote(frame.actor.str());
  text += ",\"incarnation\":";
  text += wire::json_quote(frame.at.incarnation);
  text += ",\"revision\":";
  text += std::to_string(frame.at.revision);
  return text;
}

std::string snapshot_text(const snapshot_frame& frame) {
  auto text = frame_head("snapshot", frame);
  text.reserve(text.size() + frame.data.size() + 16);
  text += ",\"data\":";
  text += frame.data;
  text += '}';
  return text;
}

std::string patch_text(const snapshot_frame& from, const snapshot_frame& to) {
  auto before = json::parse(from.data), after = json::parse(to.data);
  auto patch = json::diff(before, after).dump();
  if (patch.size() >= to.data.size()) return {};
  auto text = frame_head("patch", to);
  text += ",\"from\":";
  text += std::to_string(from.at.revision);
  text += ",\"hash\":\"";
  text += content_hash(after);
  text += "\",\"patch\":";
  text += patch;
  text += '}';
  return text;
}

}  // namespace

template <class Make>
wire::shared_bytes frame_cache::made_once(const snapshot_ptr& frame, std::uint64_t base, Make make) {
  std::shared_ptr<making> one;
  {
    std::lock_guard lock(mutex_);
    if (entries_.size() > sweep_above)
      std::erase_if(entries_, [](const auto& e) {
        return std::all_of(e.second.by_base.begin(), e.second.by_base.end(),
                           [](const auto& m) { return m.second->text.expired(); });
      });
    auto& slot = entries_[frame->actor.str()];
    // A reader that is behind makes its own.
    if (slot.at.incarnation == frame->at.incarnation && slot.at.revision > frame->at.revision)
      return std::make_shared<const std::string>(make());
    if (slot.at != frame->at) slot = {frame->at, {}};
    auto& known = slot.by_base[base];
    if (!known) known = std::make_shared<making>();
    one = known;
  }
  wire::shared_bytes text;
  std::call_once(one->once, [&] {
    text = std::make_shared<const std::string>(make());
    std::lock_guard lock(mutex_);
    one->text = text;
    recent_.push_back(text);
    recent_size_ += text->size();
    while (recent_.size() > recent_frames || recent_size_ > recent_bytes) {
      recent_size_ -= recent_.front()->size();
      recent_.pop_front();
    }
  });
  if (!text) text = one->text.lock();
  return text ? text : std::make_shared<const std::string>(make());
}

wire::shared_bytes frame_cache::text_of(const snapshot_ptr& frame) {
  return made_once(frame, 0, [&] { return snapshot_text(*frame); });
}

wire::shared_bytes frame_cache::deflated(const wire::shared_bytes& frame) {
  std::shared_ptr<packing> one;
  {
    std::lock_guard lock(mutex_);
    if (packed_.size() > sweep_packed_above)
      std::erase_if(packed_, [](const auto& e) { return e.second.of.expired(); });
    auto& slot = packed_[frame.get()];
    if (slot.of.lock() != frame) slot = {frame, std::make_shared<packing>()};
    one = slot.as;
  }
  std::call_once(one->once,
                 [&] { one->bytes = std::make_shared<const std::string>(wire::deflate_message(*frame)); });
  return one->bytes;
}

wire::shared_bytes frame_cache::patch_of(const snapshot_ptr& from, const snapshot_ptr& to) {
  if (to->data.size() < patch_above || from->at.incarnation != to->at.incarnation ||
      from->at.revision >= to->at.revision || from->at.revision == 0)
    return {};
  auto text = made_once(to, from->at.revision, [&] { return patch_text(*from, *to); });
  return text->empty() ? nullptr : text;
}

}  // namespace troupe::gateway
