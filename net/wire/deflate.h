// Compression of what is sent, with zlib. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace troupe::wire {

// For Content-Encoding: gzip. 1 is quick, 9 small.
std::string gzip(std::string_view bytes, int level);

// The payload of a WebSocket message that is compressed by itself (RFC 7692, no context takeover), quickly.
std::string deflate_message(std::string_view bytes);

}  // namespace troupe::wire
