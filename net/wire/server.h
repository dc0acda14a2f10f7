// An HTTP/1.1 server on TCP and unix sockets.
//
// Each connection is one coroutine on a strand of its own over the server's executor; the handler, everything
// on its `exchange` and its websocket run on that strand. Different connections run in parallel when several
// threads run the executor. Requests of one connection are handled one after the other (pipelining is
// answered in order).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/wire/asio.h"
#include "net/wire/certificate.h"
#include "net/wire/message.h"
#include "net/wire/result.h"
#include "net/wire/websocket.h"

namespace troupe::wire {

// One request and the way to answer it. Lives as long as the handler's coroutine. A handler answers once:
// reply(), or begin_stream() … finish(), or upgrade(). One that returns without any of them is answered 500
// for.
class exchange {
 public:
  struct impl;
  explicit exchange(impl& i) : impl_(i) {}
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  const wire::request& request() const;
  wire::request& request();

  // What the router took from the path, percent-decoded; empty if the pattern has no such name.
  const std::string& param(std::string_view name) const;
  void set_param(std::string name, std::string value);

  // Content-Length, Date and Connection are set here. For HEAD the body is left out, its length kept. False:
  // the peer did not take it (gone, or the write limit passed); there is nothing left to do but return.
  asio::awaitable<bool> reply(response answer);

  // A body of unknown length (chunked; for HTTP/1.0 until close): events, logs, large files. Each write()
  // completes when the kernel has the bytes, so that a slow reader slows its writer; each may take the
  // server's write limit. Empty writes do nothing. The handler's end finishes a stream that was not finished
  // as an error (the peer sees it cut).
  asio::awaitable<bool> begin_stream(int status, headers fields);
  asio::awaitable<bool> write(std::string bytes);
  asio::awaitable<bool> write(shared_bytes bytes);
  asio::awaitable<bool> finish();

  // For routes with body_rule::streamed: the next piece of the request's body (at most 64 KiB); nothing at
  // its end. Failure: too_large (limit), timed_out, closed. After a failure reply() still works for
  // too_large.
  asio::awaitable<result<std::optional<std::string>>> read_body();

  // Is this a WebSocket handshake?
  bool upgrade_requested() const;
  // Answers 101. Nothing when the handshake was not valid (it was answered 400 or 426) or the peer is gone.
  // The websocket stays usable as long as the handler runs; stop() closes it with 1001 after calling on_gone.
  asio::awaitable<std::optional<websocket>> upgrade(websocket_options options);

  bool answered() const;  // reply, stream or upgrade has begun

  // The peer has closed its side, or the server is stopping and the time for requests in flight is over. A
  // half close looks the same as a close from here, so a reply is still worth sending; long handlers and
  // streams should end.
  bool gone() const;
  // Called once, on the strand, when that happens; at once if it already has. Replaces an earlier function.
  // It is dropped when the handler ends.
  void on_gone(std::function<void()> f);

  // The server has begun to stop: streams that never end by themselves should finish now (they also get
  // on_gone).
  bool stopping() const;

  executor get_executor() const;

 private:
  impl& impl_;
};

using handler = std::function<asio::awaitable<void>(exchange&)>;

// What is decided about a request's body when only its head is known.
struct body_rule {
  std::size_t max_bytes;  // beyond it: 413
  bool streamed = false;  // the handler reads it with read_body(); else it is in request.body
};

// A handler and, optionally, what limits each request's body. Called concurrently from different connections.
struct service {
  handler handle;
  // Called on the connection's strand with the head alone; absent: server_options::body_bytes for all.
  std::function<body_rule(const request&, std::size_t default_bytes)> body = {};
  // The answer to what never reaches the handler: 400, 408, 413, 414, 431, 500, 501, 503, 505. Absent: a
  // problem.
  std::function<response(int status, std::string_view code, std::string_view detail)> refuse = {};
};

struct server_options {
  std::size_t header_bytes = 16 * 1024;                     // request line and fields together; beyond it 431
  std::size_t target_bytes = 8 * 1024;                      // beyond it 414
  std::size_t body_bytes = 1024 * 1024;                     // default of body_rule::max_bytes
  std::size_t connections = 1024;                           // beyond it a new one is answered 503 and closed
  clock::duration header_limit = std::chrono::seconds(10);  // first byte to end of head; then 408 and close
  clock::duration body_limit =
      std::chrono::seconds(30);  // silence within a body, and per started MiB of it; then 408
  clock::duration idle_limit = std::chrono::seconds(75);   // keep-alive without a request; closed silently
  clock::duration write_limit = std::chrono::seconds(30);  // one write; then the connection is cut
  // Connections run on these in turn, so that what concerns many of them is done in one go; empty: each has a
  // strand of its own.
  std::vector<executor> strands = {};
  // A fault of ours (a handler that threw, accept that failed): where it happened and what. Any thread.
  std::function<void(std::string_view where, std::string_view what)> on_fault = {};
};

struct bound_address {
  std::string host;
  std::uint16_t port = 0;
};

// listen…, stop and the destructor from any thread, one at a time. The executor must outlive the server and
// be run until stop() has completed.
class server {
 public:
  server(executor ex, service what, server_options options = {});
  server(executor ex, handler what, server_options options = {});
  ~server();  // cuts whatever stop() was not given the time to end

  // `host`: an address or a name of this machine. Port 0 takes any free one; the result says which. Failure:
  // a text that names the address and what to do.
  // With `proof` it speaks TLS there.
  result<bound_address> listen(const std::string& host, std::uint16_t port,
                               std::shared_ptr<certificate> proof = {});

  // Removes a socket file left over by a dead process (nobody answers there), never a live one. `mode` is set
  // before the first connection is possible. Removed by stop().
  result<std::string> listen_unix(const std::string& path, unsigned mode = 0600);

  // Stops accepting, closes idle connections, tells streams and websockets to end (on_gone), lets requests in
  // flight finish until `limit`, then cuts the rest. Completes when no connection is left.
  asio::awaitable<void> stop(clock::duration limit = std::chrono::seconds(5));

  std::size_t connections() const;
  std::uint64_t requests() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::wire
