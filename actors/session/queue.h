// The prompts that wait, in their order.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/turn.h"

namespace troupe::actors::sessions {

struct waiting_prompt {
  std::string id;
  json content;
  std::string by;
  bool guard = false;
};

/// Answers its id. `first`: before all others.
std::string enqueue(turn&, const json& content, const std::string& by, bool guard, bool first);
std::optional<waiting_prompt> dequeue(turn&);
std::vector<std::string> queue_order(const view&);

/// ACP content blocks of the body of session.prompt: its `content`, or its `text` as one block.
json content_of(const json& body);

}  // namespace troupe::actors::sessions
