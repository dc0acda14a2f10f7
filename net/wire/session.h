// One connection of a server: reads requests, runs the handler, writes answers. Private to this folder.
// Everything runs on the connection's strand.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "net/wire/http_io.h"
#include "net/wire/server.h"
#include "net/wire/transport.h"

namespace troupe::wire {

// What the sessions of one server share. Set up before the first of them, then read-only but for the
// counters.
struct session_context {
  service what;
  server_options options;
  std::atomic<std::uint64_t> requests{0};
  std::atomic<bool> stopping{false};

  response refusal(int status, std::string_view code, std::string_view detail) const;
  void fault(std::string_view where, std::string_view text) const;
};

class session;

// The answer in progress to one request.
struct exchange::impl {
  enum class answer { none, replied, streaming, finished, upgraded };

  session& owner;
  wire::request request;
  message_parser<true>& parser;
  std::map<std::string, std::string, std::less<>> params = {};
  answer state = answer::none;
  bool head_only = false;                  // HEAD
  bool chunked = false;                    // the stream is sent in chunks
  bool until_close = false;                // the stream's end is the connection's
  std::optional<std::uint64_t> left = {};  // bytes that the stream still owes its Content-Length
  bool keep_alive = true;
  bool failed = false;  // a write failed: nothing more can be sent
  std::size_t body_limit = 0;
  std::size_t body_read = 0;
  bool body_failed = false;
  bool continue_owed = false;  // the peer waits for 100 before it sends its body
  bool told_gone = false;
  std::function<void()> on_gone = {};
  std::shared_ptr<websocket::impl> socket = {};
};

class session : public std::enable_shared_from_this<session> {
 public:
  session(std::shared_ptr<session_context> context, std::shared_ptr<transport> wire, peer who);

  // Until the connection is over.
  asio::awaitable<void> run();

  // Closes an idle connection; tells a stream or websocket to end; a plain request goes on.
  void begin_stop();
  // Ends whatever goes on.
  void cut();

  executor get_executor() { return wire_->get_executor(); }
  std::string where() const { return where_; }  // for faults: the request in progress. On the strand

 private:
  friend class exchange;
  friend struct exchange::impl;
  using clk = wire::clock;

  asio::awaitable<bool> one_request();  // false: no further one on this connection
  asio::awaitable<bool> take_body(exchange::impl& x, const body_rule& rule);
  asio::awaitable<result<std::optional<std::string>>> read_body(exchange::impl& x);
  asio::awaitable<bool> run_handler(exchange::impl& x);
  asio::awaitable<bool> refuse(int status, std::string_view code, std::string_view detail);
  asio::awaitable<void> linger();

  asio::awaitable<bool> reply(exchange::impl& x, response answer);
  asio::awaitable<bool> begin_stream(exchange::impl& x, int status, headers fields);
  asio::awaitable<bool> write(exchange::impl& x, std::string_view bytes);
  asio::awaitable<bool> finish(exchange::impl& x);
  asio::awaitable<std::optional<websocket>> upgrade(exchange::impl& x, websocket_options options);
  asio::awaitable<bool> send(std::string_view head, std::string_view body, std::string_view tail = {});

  bool gone(exchange::impl& x);
  void watch();
  void tell_gone(exchange::impl& x);

  std::shared_ptr<session_context> context_;
  std::shared_ptr<transport> wire_;
  peer who_;
  beast::flat_buffer buffer_;
  exchange::impl* current_ = nullptr;  // set while a handler runs
  bool idle_ = false;                  // no byte of a next request has come
  bool cut_ = false;
  bool stop_told_ = false;
  bool watching_ = false;  // a wait for readability is pending; at most one, it may outlive its exchange
  std::string where_;
};

}  // namespace troupe::wire
