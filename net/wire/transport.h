// The bytes under HTTP: one connected socket, plain or TLS, with a deadline for reading and one for writing.
// Private to this folder (it spells Boost's names).
//
// Everything runs on the socket's strand. A read that is late is cancelled and gives timed_out, and the
// socket can still be written to (a 408 must get out); a write that is late closes the socket, since half of
// a message is out.
#pragma once

#include <array>
#include <memory>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include "net/wire/asio.h"
#include "net/wire/certificate.h"
#include "net/wire/websocket.h"

// Not included: its header alone would bind every program that serves to the TLS library.
namespace boost::asio::ssl {
template <typename>
class stream;
}

namespace troupe::wire {

using boost::system::error_code;
// TCP and unix sockets alike, so that sessions are not templates.
using stream_socket = asio::basic_stream_socket<asio::generic::stream_protocol, executor>;
using tls_stream = asio::ssl::stream<stream_socket>;
using buffers3 = std::array<asio::const_buffer, 3>;

class transport : public std::enable_shared_from_this<transport> {
 public:
  virtual ~transport() = default;

  virtual asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& ec) = 0;
  virtual asio::awaitable<void> write(buffers3 bytes, error_code& ec) = 0;
  // A server's, before anything else.
  virtual asio::awaitable<error_code> handshake() { co_return error_code(); }
  virtual stream_socket& socket() = 0;

  // time_point::max(): never.
  void read_by(time_point t);
  void write_by(time_point t);

  void close();
  // The peer sees the end of our bytes; reading goes on.
  void shutdown_send();
  bool is_open() { return socket().is_open(); }
  executor get_executor() { return socket().get_executor(); }

  enum class peer_state { quiet, has_bytes, ended };
  peer_state look();  // without taking bytes

  static std::shared_ptr<transport> plain(stream_socket s);
  static std::shared_ptr<transport> tls(std::unique_ptr<tls_stream> s);

  // Gives the socket away to a websocket; this object is of no further use.
  virtual std::shared_ptr<websocket::impl> to_websocket(const websocket_options& options, peer who) = 0;

 protected:
  explicit transport(executor ex) : timer_(std::move(ex)) {}

  // Around each operation: what its error is, given that a deadline may have cancelled it.
  bool read_expired() const { return read_expired_; }
  bool write_expired() const { return write_expired_; }
  void stop_timer();

 private:
  void arm();
  void on_timer();

  asio::steady_timer timer_;
  time_point read_by_ = time_point::max();
  time_point write_by_ = time_point::max();
  // When the timer fires next; a deadline that moves later leaves it, so that moving deadlines is free.
  time_point armed_ = time_point::max();
  bool read_expired_ = false;
  bool write_expired_ = false;
};

// A certificate as servers use it. Their code does not name the TLS library, which a program without
// certificates does not load.
class securing : public certificate {
 public:
  virtual std::shared_ptr<transport> secure(stream_socket s) = 0;
};

}  // namespace troupe::wire
