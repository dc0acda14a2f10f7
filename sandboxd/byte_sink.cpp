#include "sandboxd/byte_sink.h"

#include <cerrno>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>

namespace troupe::sandboxd {
namespace asio = wire::asio;
namespace {

struct piece {
  explicit piece(std::string b, wire::executor ex) : bytes(std::move(b)), settled(ex) {}
  std::string bytes;
  wire::signal settled;
  bool finished = false;
  int failed = 0;
};

}  // namespace

struct byte_sink::state {
  state(wire::executor e, descriptor d) : ex(e), fd(e, d.release()) {}

  wire::executor ex;
  asio::posix::stream_descriptor fd;
  std::deque<std::shared_ptr<piece>> queue;
  std::size_t waiting = 0;
  bool draining = false;
  bool closing = false;
};

byte_sink::byte_sink(std::unique_ptr<state> s) : state_(std::move(s)) {}
byte_sink::~byte_sink() = default;

std::shared_ptr<byte_sink> byte_sink::make(wire::executor ex, descriptor fd) {
  return std::shared_ptr<byte_sink>(new byte_sink(std::make_unique<state>(ex, std::move(fd))));
}

asio::awaitable<outcome<done>> byte_sink::write(std::string bytes) {
  auto self = shared_from_this();
  auto& s = *state_;
  if (s.closing || !s.fd.is_open()) co_return os_error{EPIPE, "write to a process"};
  if (s.waiting + bytes.size() > max_waiting_input_bytes && s.waiting > 0)
    co_return os_error{EAGAIN, "write to a process that does not read"};
  auto mine = std::make_shared<piece>(std::move(bytes), s.ex);
  s.waiting += mine->bytes.size();
  s.queue.push_back(mine);
  if (!s.draining) {
    s.draining = true;
    asio::co_spawn(s.ex, drain(self), asio::detached);
  }
  while (!mine->finished) co_await mine->settled.wait();
  if (mine->failed) co_return os_error{mine->failed, "write to a process"};
  co_return done{};
}

asio::awaitable<void> byte_sink::drain(std::shared_ptr<byte_sink> self) {
  auto& s = *self->state_;
  while (!s.queue.empty()) {
    auto now = s.queue.front();
    boost::system::error_code ec;
    if (s.fd.is_open())
      co_await asio::async_write(s.fd, asio::buffer(now->bytes),
                                 asio::redirect_error(asio::use_awaitable, ec));
    else
      ec = asio::error::broken_pipe;
    now->failed = ec ? EPIPE : 0;
    now->finished = true;
    s.waiting -= now->bytes.size();
    s.queue.pop_front();
    now->settled.raise();
    if (ec) self->cut();
  }
  s.draining = false;
  if (s.closing) self->cut();
}

void byte_sink::close() {
  state_->closing = true;
  if (!state_->draining) cut();
}

void byte_sink::cut() {
  state_->closing = true;
  boost::system::error_code ignored;
  if (state_->fd.is_open()) state_->fd.close(ignored);
}

bool byte_sink::open() const {
  return !state_->closing && state_->fd.is_open();
}

}  // namespace troupe::sandboxd
