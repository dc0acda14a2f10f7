// One WebSocket connection (RFC 6455), server's or client's side.
//
// Owner: the coroutine that reads. Every method runs on get_executor(), the connection's strand, unless it
// says "any thread"; completions arrive there too. One read() at a time; writes may overlap, they leave whole
// and in order.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/wire/asio.h"
#include "net/wire/message.h"

namespace troupe::wire {

// RFC 6455 section 7.4.1; 4000 to 4999 belong to the application.
enum close_code : std::uint16_t {
  close_normal = 1000,
  close_going_away = 1001,
  close_protocol_error = 1002,
  close_unsupported = 1003,
  close_none = 1005,      // the peer closed without a code
  close_abnormal = 1006,  // the connection ended without a close; never sent
  close_bad_utf8 = 1007,
  close_policy = 1008,
  close_too_big = 1009,
  close_internal_error = 1011,
  close_restart = 1012,
};

struct websocket_options {
  // Server: what it speaks, best first. Client: what it offers. A server given several picks the first of its
  // own that was offered; when none fits it goes on without one, and subprotocol() is empty.
  std::vector<std::string> subprotocols;
  std::size_t message_limit = 1 << 20;  // bytes of one incoming message; beyond it the peer gets 1009
  // What may wait to be sent, counted beside the message being written. Beyond it send() refuses and write()
  // waits.
  std::size_t queue_bytes = 16 << 20;
  std::size_t queue_messages = 1024;
  clock::duration ping_every = std::chrono::seconds(20);
  clock::duration silent_limit =
      std::chrono::seconds(60);  // no frame at all, pongs included: the connection is cut
  clock::duration write_limit = std::chrono::seconds(30);  // one message; a peer that does not take it is cut
  clock::duration close_limit = std::chrono::seconds(5);   // for the peer to answer a close
  bool deflate = false;                                    // permessage-deflate, no context takeover
  headers extra;                                           // client: request fields; server: response fields
};

struct ws_message {
  bool text = true;  // else binary; text is valid UTF-8
  std::string data;
};

struct ws_close {
  std::uint16_t code = close_abnormal;
  std::string reason;
};

class websocket {
 public:
  struct impl;
  explicit websocket(std::shared_ptr<impl>);
  websocket(websocket&&) noexcept;
  websocket& operator=(websocket&&) noexcept;
  ~websocket();  // cuts what is still open

  // The next message; nothing once the connection is over, then closed() says how.
  asio::awaitable<std::optional<ws_message>> read();

  // Sends one message and completes when the kernel has taken it; waits while the queue is full. False: it is
  // over.
  asio::awaitable<bool> write(std::string message, bool text = true);
  asio::awaitable<bool> write(shared_bytes message, bool text = true);

  // Queues one message without waiting. False: the connection is over or the queue is full; nothing was
  // queued.
  bool send(std::string message, bool text = true);
  bool send(shared_bytes message, bool text = true);
  // `message` is what deflate_message() made of a text; only where deflates().
  bool send_deflated(shared_bytes message);
  bool deflates() const;
  // Until nothing is queued any more. False: the connection is over.
  asio::awaitable<bool> drained();
  std::size_t queued_bytes() const;  // includes the one being written
  std::size_t queued_messages() const;

  // Sends what is queued, then a close frame, and waits for the peer's, at most close_limit. A read() in
  // progress ends. `reason`: at most 123 bytes, cut at a character. Repeated calls wait for the first.
  asio::awaitable<void> close(std::uint16_t code = close_normal, std::string reason = {});

  // Ends the connection without a close frame. Any thread.
  void cut();

  bool open() const;
  const ws_close& closed() const;  // meaningful once read() gave nothing or write() gave false
  const std::string& subprotocol() const;
  const wire::peer& peer() const;
  executor get_executor() const;

 private:
  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::wire
