// Topics of a server as they change, over one WebSocket that reconnects by itself and takes up streams where
// it was.
//
// The connection lives on a thread of its own; next() and subscribe() belong to one other thread. At most
// `max_waiting` frames wait to be read: then the connection is not read either, and the server conflates.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/place_of_server.h"

namespace troupe::cli {

class live {
 public:
  static constexpr std::size_t max_waiting = 256;
  static constexpr std::chrono::seconds reconnect_for{60};

  /// Connects in the background. Throws failure when the address is none.
  explicit live(place_of_server);
  ~live();
  live(const live&) = delete;
  live& operator=(const live&) = delete;

  /// A key, or a key, # and a stream, read from after `after`. Before or after the connection is there. A
  /// topic that is about to come into being is asked for again for `appears_within`.
  void subscribe(std::string topic, std::uint64_t after = 0, std::chrono::milliseconds appears_within = {});
  void unsubscribe(const std::string& topic);

  /// The next frame of a topic (op: snapshot, entries, reset, gone), or {"op":"lost","why"} and
  /// {"op":"connected"} for the connection itself. Nothing when `until` passes. Throws failure when the
  /// server refuses the connection or a subscription, or is gone for longer than reconnect_for.
  std::optional<nlohmann::json> next(std::chrono::steady_clock::time_point until);

  /// Readable while next() would return at once: for poll().
  int descriptor() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::cli
