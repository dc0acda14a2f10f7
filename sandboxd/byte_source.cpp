#include "sandboxd/byte_source.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>

namespace troupe::sandboxd {
namespace asio = wire::asio;

struct byte_source::state {
  state(wire::executor ex, descriptor d) : fd(ex, d.release()) {}
  asio::posix::stream_descriptor fd;
};

byte_source::byte_source(wire::executor ex, descriptor fd)
    : state_(std::make_unique<state>(ex, std::move(fd))) {}
byte_source::~byte_source() = default;

asio::awaitable<std::string> byte_source::read() {
  auto& fd = state_->fd;
  boost::system::error_code ec;
  std::string out;
  while (fd.is_open()) {
    // Waits first, so that an idle reader holds no buffer.
    co_await fd.async_wait(asio::posix::stream_descriptor::wait_read,
                           asio::redirect_error(asio::use_awaitable, ec));
    if (ec || !fd.is_open()) break;
    out.resize(max_read_bytes);
    auto n = fd.read_some(asio::buffer(out), ec);
    out.resize(ec ? 0 : n);
    // Any other error is an end; EIO is how a terminal says that its last program has left.
    if (ec != asio::error::would_block && ec != asio::error::try_again) break;
  }
  co_return out;
}

void byte_source::close() {
  boost::system::error_code ignored;
  if (state_->fd.is_open()) state_->fd.close(ignored);
}

}  // namespace troupe::sandboxd
