// Messages between the supervisor and init: JSON objects with descriptors, one each per packet of a
// SOCK_SEQPACKET pair.
//
// Neither side trusts the other's sizes: a packet has at most `packet_bytes` of text and `packet_fds`
// descriptors; a longer text travels in a memfd, up to `text_bytes`.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

inline constexpr std::size_t packet_bytes = 60 * 1024;
inline constexpr std::size_t packet_fds = 8;
inline constexpr std::size_t text_bytes = 16 << 20;

struct packet {
  std::string text;
  std::vector<descriptor> fds;  // close-on-exec
};

struct control_pair {
  descriptor supervisor;
  descriptor init;
};
outcome<control_pair> make_control_pair();  // both close-on-exec and blocking

// EAGAIN on a non-blocking socket whose peer does not read; EPIPE when the peer is gone (never SIGPIPE).
outcome<done> send_packet(int socket, const std::string& text, const std::vector<int>& fds = {});

// ENOTCONN at the end of the conversation, EAGAIN when there is nothing on a non-blocking socket, EPROTO for
// what breaks the rules above.
outcome<packet> receive_packet(int socket);

}  // namespace troupe::sandboxd
