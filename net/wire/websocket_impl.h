// The state behind a `websocket`: its queue, its clocks and how it ended; Beast's stream is in the derived
// class. Private to this folder. Everything runs on the strand.
#pragma once

#include <array>
#include <deque>
#include <memory>

#include "net/wire/http_io.h"
#include "net/wire/result.h"
#include "net/wire/transport.h"
#include "net/wire/websocket.h"

namespace troupe::wire {

// A message on its way, with the head of a server's frame.
struct outgoing {
  outgoing(shared_bytes payload, bool is_text, bool is_deflated);

  std::array<asio::const_buffer, 2> unsent() const;
  std::size_t size() const { return head_size + bytes->size(); }

  shared_bytes bytes;
  bool text;
  std::array<unsigned char, 10> head;
  std::size_t head_size = 2;
  std::size_t sent = 0;
};

struct websocket::impl : std::enable_shared_from_this<websocket::impl> {
  impl(executor strand, const websocket_options& options, wire::peer who);
  virtual ~impl() = default;

  // A handshake each; afterwards start() begins the pings.
  virtual asio::awaitable<error_code> accept(const http::request<http::buffer_body>& head,
                                             const std::string& subprotocol) = 0;
  virtual asio::awaitable<std::optional<failure>> connect(const std::string& host,
                                                          const std::string& target) = 0;

  void start();
  asio::awaitable<std::optional<ws_message>> read();
  bool enqueue(shared_bytes bytes, bool text, bool deflated = false);
  asio::awaitable<bool> write(shared_bytes bytes, bool text, bool deflated = false);
  asio::awaitable<bool> drained();
  asio::awaitable<void> close(std::uint16_t code, std::string reason);
  void cut();  // on the strand

  executor strand;
  websocket_options options;
  wire::peer who;
  std::string subprotocol;
  ws_close end;
  bool over = false;     // nothing more can be sent or received
  bool closing = false;  // close() has begun: nothing more is queued
  std::size_t queued_bytes = 0;

  bool deflates = false;       // server: both sides take messages that are compressed one by one
  std::deque<outgoing> queue;  // its front is being written while `pumping`

 protected:
  // One step of Beast's stream each.
  virtual asio::awaitable<error_code> read_some(beast::flat_buffer& into) = 0;
  virtual bool message_done() const = 0;
  virtual bool got_text() const = 0;
  // What is taken without waiting; the rest is write_message()'s.
  virtual std::size_t write_now(const outgoing& message) = 0;
  virtual asio::awaitable<error_code> write_message(const outgoing& message) = 0;
  virtual asio::awaitable<error_code> write_ping() = 0;
  virtual asio::awaitable<error_code> write_close(std::uint16_t code, const std::string& reason) = 0;
  virtual ws_close peer_close() const = 0;
  virtual stream_socket& socket() = 0;

  void heard() { last_heard_ = clock::now(); }

 private:
  asio::awaitable<void> pump();
  asio::awaitable<void> ping_loop();
  void ended(const error_code& ec);
  void wake();
  asio::awaitable<void> changed();  // until the next wake()

  asio::steady_timer ping_timer_;
  asio::steady_timer write_timer_;  // cuts a message that is not taken
  asio::steady_timer change_;       // never expires; cancelled by wake()
  beast::flat_buffer buffer_;
  time_point
      last_heard_;  // silence is counted only while somebody reads, since only then are frames looked at
  std::uint64_t written_ = 0;  // messages that left
  std::uint64_t accepted_ = 0;
  bool reading_ = false;
  bool pumping_ = false;
  bool close_done_ = false;
  // A write failed while somebody reads: what the peer said before it stopped listening (its close) is still
  // read.
  bool deaf_peer_ = false;
};

std::shared_ptr<websocket::impl> make_websocket(stream_socket&& s, const websocket_options& options,
                                                peer who);
std::shared_ptr<websocket::impl> make_websocket(tls_stream&& s, const websocket_options& options, peer who);

}  // namespace troupe::wire
