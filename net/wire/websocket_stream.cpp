#include "net/wire/websocket_over.h"

namespace troupe::wire {

std::shared_ptr<websocket::impl> make_websocket(stream_socket&& s, const websocket_options& options,
                                                peer who) {
  return std::make_shared<websocket_over<stream_socket>>(std::move(s), options, std::move(who));
}

}  // namespace troupe::wire
