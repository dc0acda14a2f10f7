#include "net/wire/transport.h"

#include <sys/socket.h>

#include <cerrno>

#include "net/wire/transport_over.h"

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

std::shared_ptr<transport> transport::plain(stream_socket s) {
  return std::make_shared<transport_over<stream_socket>>(std::make_unique<stream_socket>(std::move(s)));
}

}  // namespace troupe::wire
