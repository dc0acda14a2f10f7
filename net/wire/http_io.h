// Reading HTTP/1.1 messages through Beast's parser from a transport. Private to this folder.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "net/wire/message.h"
#include "net/wire/transport.h"

namespace troupe::wire {

namespace beast = boost::beast;
namespace http = boost::beast::http;

template <bool is_request>
using message_parser = http::parser<is_request, http::buffer_body>;

// How much is read from the socket at once, and the most that may wait unparsed in a body (a chunk's own
// head).
inline constexpr std::size_t read_chunk = 16 * 1024;
inline constexpr std::size_t body_backlog = 64 * 1024;

// Limits are kept by who reads; Beast 1.74 takes an absent limit for zero.
inline constexpr std::uint64_t no_body_limit = UINT64_MAX;

// Until the head is whole. Errors: end_of_stream (nothing came), partial_message, header_limit, the parser's
// own, or the transport's.
template <bool is_request>
asio::awaitable<error_code> read_head(transport& from, beast::flat_buffer& buffer,
                                      message_parser<is_request>& parser);

// The next bytes of the body, at most `into`; 0 without an error means that the body has ended.
template <bool is_request>
asio::awaitable<std::size_t> read_body_some(transport& from, beast::flat_buffer& buffer,
                                            message_parser<is_request>& parser, asio::mutable_buffer into,
                                            error_code& ec);

// Header fields as text, each with its line end; line breaks and NULs inside become spaces, so that no value
// can forge a field.
void append_field(std::string& out, std::string_view name, std::string_view value);

}  // namespace troupe::wire
