// The write side of a stream under Beast's WebSocket, shared by two who must not write into each other's
// frames: Beast, which answers pings and closes by itself, and us, who send whole frames past it, made once
// for many connections. Private to this folder. Everything runs on the strand.
#pragma once

#include <sys/socket.h>

#include <array>
#include <memory>
#include <utility>

#include <boost/asio/compose.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include "net/wire/transport.h"

namespace troupe::wire {

// The head of a frame and what of its payload is still to be sent.
using frame_bytes = std::array<asio::const_buffer, 2>;

template <class Next>
class write_gate {
 public:
  using next_layer_type = Next;
  using executor_type = typename Next::executor_type;

  explicit write_gate(Next&& next)
      : next_(std::move(next)), freed_(next_.get_executor(), time_point::max()) {}

  executor_type get_executor() { return next_.get_executor(); }
  Next& next_layer() { return next_; }
  const Next& next_layer() const { return next_; }

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& into, Handler&& handler) {
    return next_.async_read_some(into, std::forward<Handler>(handler));
  }

  // Beast's way through: waits while a frame of ours is on its way.
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& bytes, Handler&& handler) {
    return asio::async_compose<Handler, void(error_code, std::size_t)>(beast_write<Buffers>{*this, bytes},
                                                                       handler, next_);
  }

  // What the kernel takes without waiting. What it left must be given to write() before anything else is
  // sent.
  std::size_t write_now(const frame_bytes& bytes) {
    if constexpr (std::is_same_v<Next, stream_socket>) {
      if (ours_ || beasts_) return 0;
      std::array<iovec, 2> parts;
      for (std::size_t i = 0; i < parts.size(); ++i)
        parts[i] = {const_cast<void*>(bytes[i].data()), bytes[i].size()};
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = parts.size();
      // A socket that failed says so to write().
      const auto n = ::sendmsg(next_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      const auto sent = n < 0 ? 0 : static_cast<std::size_t>(n);
      ours_ = sent > 0 && sent < bytes[0].size() + bytes[1].size();
      return sent;
    } else {
      return 0;
    }
  }

  asio::awaitable<error_code> write(frame_bytes bytes) {
    error_code ec;
    while (beasts_) co_await freed_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    ours_ = true;
    co_await asio::async_write(next_, bytes, asio::redirect_error(asio::use_awaitable, ec));
    ours_ = false;
    freed_.cancel();
    co_return ec;
  }

 private:
  template <class Buffers>
  struct beast_write {
    write_gate& gate;
    Buffers bytes;
    bool writing = false;

    template <class Self>
    void operator()(Self& self, const error_code& ec = {}, std::size_t sent = 0) {
      if (writing) {
        // A control frame is short; when it went out in part, Beast comes again with the rest.
        gate.beasts_ = !ec && sent < beast::buffer_bytes(bytes);
        if (!gate.beasts_) gate.freed_.cancel();
        return self.complete(ec, sent);
      }
      if (gate.ours_) return gate.freed_.async_wait(std::move(self));
      gate.beasts_ = writing = true;
      gate.next_.async_write_some(bytes, std::move(self));
    }
  };

  Next next_;
  asio::steady_timer freed_;  // never expires; cancelled when a writer is done
  bool ours_ = false;         // a frame of ours is out in part
  bool beasts_ = false;       // Beast writes, or has written a part
};

template <class Next>
void teardown(beast::role_type role, write_gate<Next>& gate, error_code& ec) {
  using beast::websocket::teardown;
  teardown(role, gate.next_layer(), ec);
}

// What a peer goes on sending after we closed is read and thrown away, as long as the silence of the
// connection is borne: a socket that is closed with bytes unread takes back what was said last, the close
// with its reason. (Beast's own stops at its first read.)
struct drain {
  static constexpr std::size_t piece = 64 * 1024;

  stream_socket& socket;
  std::unique_ptr<char[]> waste = std::make_unique<char[]>(piece);
  bool begun = false;

  template <class Self>
  void operator()(Self& self, error_code ec = {}, std::size_t n = 0) {
    if (!std::exchange(begun, true)) {
      socket.shutdown(stream_socket::shutdown_send, ec);
    } else if (ec || n == 0) {
      error_code ignored;
      socket.close(ignored);
      return self.complete(ec == asio::error::eof ? error_code() : ec);
    }
    const auto into = asio::buffer(waste.get(), piece);
    socket.async_read_some(into, std::move(self));
  }
};

template <class Next, class Handler>
void async_teardown(beast::role_type role, write_gate<Next>& gate, Handler&& handler) {
  if constexpr (std::is_same_v<Next, stream_socket>) {
    if (role == beast::role_type::server) {
      asio::async_compose<Handler, void(error_code)>(drain{gate.next_layer()}, handler, gate.next_layer());
      return;
    }
  }
  using beast::websocket::async_teardown;
  async_teardown(role, gate.next_layer(), std::forward<Handler>(handler));
}

}  // namespace troupe::wire
