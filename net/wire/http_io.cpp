#include "net/wire/http_io.h"

#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>

namespace troupe::wire {

template <bool is_request>
asio::awaitable<error_code> read_head(transport& from, beast::flat_buffer& buffer,
                                      message_parser<is_request>& parser) {
  parser.eager(false);
  for (;;) {
    error_code ec;
    if (buffer.size() > 0) {
      buffer.consume(parser.put(buffer.data(), ec));
      if (!ec && parser.is_header_done()) co_return ec;
      if (ec && ec != http::error::need_more) co_return ec;
      ec = {};
    }
    auto n = co_await from.read_some(buffer.prepare(read_chunk), ec);
    if (ec == asio::error::eof)
      co_return parser.got_some() || buffer.size() > 0 ? http::error::partial_message
                                                       : http::error::end_of_stream;
    if (ec) co_return ec;
    buffer.commit(n);
  }
}

template <bool is_request>
asio::awaitable<std::size_t> read_body_some(transport& from, beast::flat_buffer& buffer,
                                            message_parser<is_request>& parser, asio::mutable_buffer into,
                                            error_code& ec) {
  parser.eager(true);
  auto& body = parser.get().body();
  body.data = into.data();
  body.size = into.size();
  body.more = true;
  while (!parser.is_done()) {
    ec = {};
    if (buffer.size() > 0) {
      buffer.consume(parser.put(buffer.data(), ec));
      if (ec && ec != http::error::need_more && ec != http::error::need_buffer) co_return 0;
      bool need_more = ec == http::error::need_more;
      ec = {};
      if (body.size < into.size()) break;
      if (!need_more && buffer.size() > 0) continue;
      if (parser.is_done()) break;
      if (buffer.size() >= body_backlog) {
        ec = http::error::header_limit;
        co_return 0;
      }
    }
    auto n = co_await from.read_some(buffer.prepare(read_chunk), ec);
    if (ec == asio::error::eof) {
      ec = {};
      parser.put_eof(ec);
      break;
    }
    if (ec) co_return 0;
    buffer.commit(n);
  }
  co_return into.size() - body.size;
}

template asio::awaitable<error_code> read_head<true>(transport&, beast::flat_buffer&, message_parser<true>&);
template asio::awaitable<error_code> read_head<false>(transport&, beast::flat_buffer&,
                                                      message_parser<false>&);
template asio::awaitable<std::size_t> read_body_some<true>(transport&, beast::flat_buffer&,
                                                           message_parser<true>&, asio::mutable_buffer,
                                                           error_code&);
template asio::awaitable<std::size_t> read_body_some<false>(transport&, beast::flat_buffer&,
                                                            message_parser<false>&, asio::mutable_buffer,
                                                            error_code&);

void append_field(std::string& out, std::string_view name, std::string_view value) {
  auto clean = [&](std::string_view text) {
    for (char c : text) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  };
  clean(name);
  out += ": ";
  clean(value);
  out += "\r\n";
}

}  // namespace troupe::wire
