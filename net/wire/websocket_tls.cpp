#include <boost/beast/websocket/ssl.hpp>

#include "net/wire/websocket_over.h"

namespace troupe::wire {

std::shared_ptr<websocket::impl> make_websocket(tls_stream&& s, const websocket_options& options, peer who) {
  return std::make_shared<websocket_over<tls_stream>>(std::move(s), options, std::move(who));
}

}  // namespace troupe::wire
