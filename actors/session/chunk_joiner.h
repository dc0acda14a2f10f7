// Joins consecutive text chunks of one message, so that a message is a few transcript entries and not
// hundreds. Nothing is lost: only chunks that differ in their text alone are joined. A value; one batch of
// updates long.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

namespace troupe::actors::sessions {

class chunk_joiner {
 public:
  static constexpr std::size_t max_text = 32
                                          << 10;  // bytes of a joined text, far below what a page shows whole

  /// Whether the update is nothing but a piece of text of a message.
  static bool is_text_chunk(const nlohmann::json& update);

  /// True when the update was joined to what is held; else flush() first, then add() it again.
  bool add(const nlohmann::json& update);
  /// What is held, as one update; nothing when nothing is.
  std::optional<nlohmann::json> flush();
  /// How many chunks the last flush() joined.
  int joined() const { return joined_; }

 private:
  nlohmann::json held_;  // null: nothing is held
  int count_ = 0, joined_ = 0;
};

}  // namespace troupe::actors::sessions
