#include "net/wire/transport.h"

#include <sys/socket.h>

#include <cerrno>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>

#include "net/wire/websocket_impl.h"

namespace troupe::wire {

void transport::read_by(time_point t) {
  read_by_ = t;
  read_expired_ = false;
  arm();
}

void transport::write_by(time_point t) {
  write_by_ = t;
  arm();
}

void transport::arm() {
  auto next = std::min(read_by_, write_by_);
  if (next >= armed_) return;
  armed_ = next;
  timer_.expires_at(next);
  timer_.async_wait([weak = weak_from_this()](const error_code& ec) {
    if (ec) return;
    if (auto self = weak.lock()) self->on_timer();
  });
}

void transport::on_timer() {
  armed_ = time_point::max();
  auto now = clock::now();
  if (write_by_ <= now) {
    write_expired_ = true;
    write_by_ = time_point::max();
    close();
    return;
  }
  if (read_by_ <= now) {
    read_expired_ = true;
    read_by_ = time_point::max();
    error_code ignored;
    socket().cancel(ignored);
  }
  arm();
}

void transport::stop_timer() {
  armed_ = read_by_ = write_by_ = time_point::max();
  timer_.cancel();
}

void transport::close() {
  stop_timer();
  error_code ignored;
  socket().close(ignored);
}

void transport::shutdown_send() {
  error_code ignored;
  socket().shutdown(stream_socket::shutdown_send, ignored);
}

transport::peer_state transport::look() {
  if (!is_open()) return peer_state::ended;
  char byte;
  auto n = ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return peer_state::has_bytes;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return peer_state::quiet;
  return peer_state::ended;
}

namespace {

template <class Stream>
class transport_over final : public transport {
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

 private:
  std::unique_ptr<Stream> stream_;
};

}  // namespace

std::shared_ptr<transport> transport::plain(stream_socket s) {
  return std::make_shared<transport_over<stream_socket>>(std::make_unique<stream_socket>(std::move(s)));
}

std::shared_ptr<transport> transport::tls(std::unique_ptr<tls_stream> s) {
  return std::make_shared<transport_over<tls_stream>>(std::move(s));
}

}  // namespace troupe::wire
