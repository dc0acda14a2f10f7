// Where `troupe inspect` looks: at a running server, or straight into a data folder at rest. Both answer the
// same. docs/protocol.md has what is asked and answered, under /v1/inspect.
#pragma once

#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "net/wire/message.h"

namespace troupe::cli {

using nlohmann::json;

struct context;

/// One thread. Members throw `failure` for what is refused.
class inspect_source {
 public:
  virtual ~inspect_source() = default;
  /// "actors", "host", "outbox", "dead", …
  virtual json all(const std::string& what, const wire::query&) = 0;
  /// "history", "at", …; empty for the actor itself.
  virtual json one(const std::string& key, const std::string& what, const wire::query&) = 0;
  virtual json sql(const std::string& key, const std::string& statement) = 0;
};

/// The server that is named or runs on the data folder; the folder itself (--data, or .troupe) where none
/// does. Throws failure when there is neither.
std::unique_ptr<inspect_source> source_of(context&);

}  // namespace troupe::cli
