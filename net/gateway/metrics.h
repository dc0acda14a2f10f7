// What the gateway counts, and the Prometheus text of it and of the host. Private to this folder.
// Thread-safe.
#pragma once

#include <memory>
#include <string>

namespace troupe {
class host;
}

namespace troupe::gateway {

class metrics {
 public:
  metrics();
  ~metrics();

  void request(int status);
  void websocket_opened();
  void websocket_closed();
  void frame_sent(std::size_t bytes);
  void frame_received();
  void snapshot_skipped();  ///< replaced by a newer one before it was sent

  // The host's figures are read now.
  std::string text(const host&) const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::gateway
