// A transport over one kind of stream. Private to this folder, and instantiated for TLS in a file of its own:
// a program that only serves does not load the TLS library.
#pragma once

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>

#include "net/wire/transport.h"
#include "net/wire/websocket_impl.h"

namespace troupe::wire {

template <class Stream>
class transport_over : public transport {
 public:
  explicit transport_over(std::unique_ptr<Stream> s) : transport(s->get_executor()), stream_(std::move(s)) {}

  asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& ec) override {
    if (read_expired()) {
      ec = asio::error::timed_out;
      co_return 0;
    }
    auto n = co_await stream_->async_read_some(into, asio::redirect_error(asio::use_awaitable, ec));
    if (ec && read_expired()) ec = asio::error::timed_out;
    co_return n;
  }

  asio::awaitable<void> write(buffers3 bytes, error_code& ec) override {
    co_await asio::async_write(*stream_, bytes, asio::redirect_error(asio::use_awaitable, ec));
    if (ec && write_expired()) ec = asio::error::timed_out;
  }

  stream_socket& socket() override {
    if constexpr (std::is_same_v<Stream, stream_socket>) {
      return *stream_;
    } else {
      return stream_->next_layer();
    }
  }

  std::shared_ptr<websocket::impl> to_websocket(const websocket_options& options, peer who) override {
    stop_timer();
    return make_websocket(std::move(*stream_), options, std::move(who));
  }

 protected:
  std::unique_ptr<Stream> stream_;
};

}  // namespace troupe::wire
