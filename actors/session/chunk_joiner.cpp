#include "actors/session/chunk_joiner.h"

#include "actors/json_read.h"

namespace troupe::actors::sessions {

bool chunk_joiner::is_text_chunk(const nlohmann::json& update) {
  if (!text_field(update, "sessionUpdate").ends_with("_message_chunk") &&
      text_field(update, "sessionUpdate") != "agent_thought_chunk")
    return false;
  const auto& content = field(update, "content");
  if (text_field(content, "type") != "text" || !field(content, "text").is_string() || content.size() != 2)
    return false;
  const std::size_t known = 2 + (field(update, "messageId").is_string() ? 1 : 0);
  return update.size() == known;
}

bool chunk_joiner::add(const nlohmann::json& update) {
  if (held_.is_null()) {
    if (!is_text_chunk(update)) return false;
    held_ = update;
    count_ = 1;
    return true;
  }
  if (!is_text_chunk(update) || update["sessionUpdate"] != held_["sessionUpdate"] ||
      text_field(update, "messageId") != text_field(held_, "messageId") || update.size() != held_.size())
    return false;
  auto& text = held_["content"]["text"].get_ref<std::string&>();
  const auto& more = update["content"]["text"].get_ref<const std::string&>();
  if (text.size() + more.size() > max_text) return false;
  text += more;
  ++count_;
  return true;
}

std::optional<nlohmann::json> chunk_joiner::flush() {
  if (held_.is_null()) return std::nullopt;
  joined_ = count_;
  count_ = 0;
  return std::exchange(held_, nullptr);
}

}  // namespace troupe::actors::sessions
