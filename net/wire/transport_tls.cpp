#include <boost/asio/ssl/stream.hpp>

#include "net/wire/transport_over.h"

namespace troupe::wire {

std::shared_ptr<transport> transport::tls(std::unique_ptr<tls_stream> s) {
  return std::make_shared<transport_over<tls_stream>>(std::move(s));
}

}  // namespace troupe::wire
