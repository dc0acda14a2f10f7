// An HTTP/1.1 and WebSocket client for TCP, TLS and unix sockets.
//
// A client is shared: every method may be called from any thread and any executor; I/O runs on strands of the
// client's own over the executor it was given, and each co_await completes on the caller's executor.
// Redirects are not followed, cookies are not kept, nothing is decompressed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/wire/asio.h"
#include "net/wire/message.h"
#include "net/wire/result.h"
#include "net/wire/sse.h"
#include "net/wire/websocket.h"

namespace troupe::wire {

struct endpoint {
  enum class kind { tcp, tls, unix_socket };
  kind scheme = kind::tcp;
  std::string
      host;  // name or address, without brackets; for unix sockets what the Host field says ("localhost")
  std::uint16_t port = 0;
  std::string path;     // unix socket file
  std::string ca_file;  // TLS: PEM of what is trusted instead of the system's store; empty: the system's

  static endpoint tcp(std::string host, std::uint16_t port);
  static endpoint tls(std::string host, std::uint16_t port = 443);
  static endpoint unix_file(std::string path);

  // "http://host:port", "https://host", "ws://", "wss://", "unix:/run/x.sock"; a path after the authority
  // goes to `prefix` when asked for, else it is a failure.
  static result<endpoint> parse(std::string_view url, std::string* prefix = nullptr);

  std::string name() const;  // "http://127.0.0.1:7741", "unix:/run/x.sock"
  bool operator==(const endpoint&) const = default;
};

struct client_options {
  std::size_t idle_per_endpoint = 8;  // kept-alive connections; more are closed after use
  std::size_t idle_total = 64;
  clock::duration idle_limit = std::chrono::seconds(60);
  clock::duration connect_limit = std::chrono::seconds(10);  // resolve, connect and TLS together
  std::size_t response_header_bytes = 64 * 1024;
  std::size_t response_bytes = 64 << 20;  // body of a fetch(); beyond it fault::too_large
  std::string user_agent = "troupe";
};

// A response whose body is read as it comes. Owned by one coroutine; everything but close() is for that
// coroutine.
class response_stream {
 public:
  struct impl;
  explicit response_stream(std::shared_ptr<impl>);
  response_stream(response_stream&&) noexcept;
  response_stream& operator=(response_stream&&) noexcept;
  ~response_stream();  // closes

  int status() const;
  const wire::headers& headers() const;

  // The next piece, as it arrived (at most 64 KiB); nothing at the clean end of the body. `silence`: the
  // longest wait; beyond it fault::timed_out. A connection that ends inside the body is fault::closed.
  asio::awaitable<result<std::optional<std::string>>> read(clock::duration silence = std::chrono::minutes(5));

  // The next server-sent event; nothing at the end. Do not mix with read().
  asio::awaitable<result<std::optional<sse_event>>> read_event(
      clock::duration silence = std::chrono::minutes(5));
  const std::string& last_event_id() const;

  // Ends it; a read in progress gives fault::closed. Any thread.
  void close();

 private:
  std::shared_ptr<impl> impl_;
};

class client {
 public:
  explicit client(executor ex, client_options options = {});
  ~client();  // close()

  // Sends `what` (method, target, headers, body; Host, User-Agent and Content-Length are added) and reads the
  // whole answer. Any status is a value. A kept-alive connection that turns out dead before a byte of the
  // answer came is replaced once, if the method is GET, HEAD, PUT, DELETE or the request has an
  // Idempotency-Key.
  asio::awaitable<result<response>> fetch(endpoint to, request what, time_point deadline);
  asio::awaitable<result<response>> fetch(endpoint to, request what,
                                          clock::duration limit = std::chrono::seconds(30));

  // Sends `what` and gives the answer once its head is there, by the deadline; the body follows through the
  // stream.
  asio::awaitable<result<response_stream>> open_stream(endpoint to, request what, time_point deadline);

  // Shakes hands at `target`. The websocket runs on the caller's executor, which must be a strand or be run
  // by one thread. fault::refused carries the status and body of a server that said no.
  asio::awaitable<result<websocket>> connect_websocket(endpoint to, std::string target,
                                                       websocket_options options, time_point deadline);

  // Ends every operation in progress with fault::closed and refuses new ones. Does not wait. Websockets live
  // on.
  void close();

  struct impl;

 private:
  std::shared_ptr<impl> impl_;
};

// For programs without an event loop. Each call runs an event loop of its own on the calling thread; not
// thread-safe.
class blocking_client {
 public:
  explicit blocking_client(client_options options = {});
  ~blocking_client();

  result<response> fetch(const endpoint& to, request what, clock::duration limit = std::chrono::seconds(30));

  // Calls `f` for each event until it returns false or the stream ends; the value is the status (other than
  // 200: no event was read, `body` has the answer).
  result<int> events(const endpoint& to, request what, const std::function<bool(const sse_event&)>& f,
                     std::string* body = nullptr, clock::duration silence = std::chrono::minutes(5));

  // Runs a coroutine that uses the client, to its end. An exception of the coroutine is thrown here.
  void run(const std::function<asio::awaitable<void>(client&)>& program);

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::wire
