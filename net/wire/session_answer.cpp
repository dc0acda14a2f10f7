// What a session sends: answers, streams and the handshake of a WebSocket.
#include <algorithm>
#include <cstdio>
#include <ctime>

#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "net/wire/session.h"
#include "net/wire/text.h"
#include "net/wire/websocket_impl.h"

namespace troupe::wire {

namespace {

// A body is written in slices, each with the write limit of its own: a slow reader that goes on reading is
// served.
constexpr std::size_t write_slice = 256 * 1024;
// What is still read and thrown away after a refusal, so that the peer sees the answer and no reset.
constexpr std::size_t linger_bytes = 1 << 20;
constexpr auto linger_limit = std::chrono::seconds(2);
const std::string& http_date() {
  thread_local std::time_t at = 0;
  thread_local std::string text;
  auto now = std::time(nullptr);
  if (now != at) {
    at = now;
    std::tm utc{};
    gmtime_r(&now, &utc);
    char buffer[64];
    auto n = std::strftime(buffer, sizeof buffer, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    text.assign(buffer, n);
  }
  return text;
}

// These are this layer's to say.
bool set_by_us(std::string_view name) {
  return equal_ignoring_case(name, "Connection") || equal_ignoring_case(name, "Transfer-Encoding") ||
         equal_ignoring_case(name, "Date") || equal_ignoring_case(name, "Keep-Alive");
}

bool never_has_body(int status) {
  return status < 200 || status == 204 || status == 304;
}

std::string head_text(int status, const headers& fields, bool keep_alive, bool old_peer) {
  std::string out;
  out.reserve(256);
  out += "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  out += reason_phrase(status);
  out += "\r\n";
  append_field(out, "Date", http_date());
  for (const auto& [name, value] : fields)
    if (!set_by_us(name) && !equal_ignoring_case(name, "Content-Length")) append_field(out, name, value);
  if (!keep_alive) {
    out += "Connection: close\r\n";
  } else if (old_peer) {
    out += "Connection: keep-alive\r\n";
  }
  return out;
}

std::optional<std::uint64_t> declared_length(const headers& fields) {
  auto text = fields.find("Content-Length");
  auto n = text ? parse_integer(*text) : std::nullopt;
  if (!n || *n < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*n);
}

}  // namespace

asio::awaitable<bool> session::refuse(int status, std::string_view code, std::string_view detail) {
  auto answer = context_->refusal(status, code, detail);
  auto head = head_text(answer.status, answer.headers, false, false);
  auto body = answer.bytes();
  append_field(head, "Content-Length", std::to_string(body.size()));
  head += "\r\n";
  if (co_await send(head, body)) co_await linger();
  co_return false;
}

asio::awaitable<void> session::linger() {
  wire_->shutdown_send();
  wire_->read_by(clk::now() + linger_limit);
  std::string waste(read_chunk, '\0');
  std::size_t total = 0;
  error_code ec;
  while (!ec && total < linger_bytes) total += co_await wire_->read_some(asio::buffer(waste), ec);
}

asio::awaitable<bool> session::send(std::string_view head, std::string_view body, std::string_view tail) {
  do {
    auto slice = body.substr(0, write_slice);
    body.remove_prefix(slice.size());
    buffers3 bytes{asio::buffer(head), asio::buffer(slice),
                   asio::buffer(body.empty() ? tail : std::string_view())};
    head = {};
    wire_->write_by(clk::now() + context_->options.write_limit);
    error_code ec;
    co_await wire_->write(bytes, ec);
    wire_->write_by(time_point::max());
    if (ec) {
      wire_->close();
      co_return false;
    }
  } while (!body.empty());
  co_return true;
}

asio::awaitable<bool> session::reply(exchange::impl& x, response answer) {
  using state = exchange::impl::answer;
  if (x.state != state::none || x.failed || cut_) co_return false;
  x.state = state::replied;
  if (context_->stopping || x.continue_owed) x.keep_alive = false;
  auto head = head_text(answer.status, answer.headers, x.keep_alive, x.parser.get().version() < 11);
  auto body = answer.bytes();
  if (!never_has_body(answer.status)) {
    auto declared = x.head_only && body.empty() ? declared_length(answer.headers) : std::nullopt;
    append_field(head, "Content-Length", std::to_string(declared.value_or(body.size())));
  }
  head += "\r\n";
  if (x.head_only || never_has_body(answer.status)) body = {};
  x.failed = !co_await send(head, body);
  co_return !x.failed;
}

asio::awaitable<bool> session::begin_stream(exchange::impl& x, int status, headers fields) {
  using state = exchange::impl::answer;
  if (x.state != state::none || x.failed || cut_) co_return false;
  x.state = state::streaming;
  if (context_->stopping || x.continue_owed) x.keep_alive = false;
  bool old_peer = x.parser.get().version() < 11;
  bool bodyless = x.head_only || never_has_body(status);
  x.left = declared_length(fields);
  x.chunked = !x.left && !old_peer && !bodyless;
  x.until_close = !x.left && old_peer && !bodyless;
  if (x.until_close) x.keep_alive = false;
  auto head = head_text(status, fields, x.keep_alive, old_peer);
  if (x.left) append_field(head, "Content-Length", std::to_string(*x.left));
  if (x.chunked || (x.head_only && !x.left && !old_peer)) head += "Transfer-Encoding: chunked\r\n";
  head += "\r\n";
  if (bodyless) {
    x.head_only = true;
    x.left.reset();
  }
  x.failed = !co_await send(head, {});
  // A stream that begins while the server stops is told at once.
  if (context_->stopping && !x.failed) begin_stop();
  co_return !x.failed;
}

asio::awaitable<bool> session::write(exchange::impl& x, std::string_view bytes) {
  if (x.state != exchange::impl::answer::streaming || x.failed || cut_) co_return false;
  if (bytes.empty() || x.head_only) co_return true;
  if (x.left) {
    if (bytes.size() > *x.left) {
      context_->fault(where_, "the stream is longer than its Content-Length");
      x.failed = true;
      wire_->close();
      co_return false;
    }
    *x.left -= bytes.size();
  }
  if (x.chunked) {
    char size[24];
    auto n = std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    x.failed = !co_await send(std::string_view(size, static_cast<std::size_t>(n)), bytes, "\r\n");
  } else {
    x.failed = !co_await send({}, bytes);
  }
  co_return !x.failed;
}

asio::awaitable<bool> session::finish(exchange::impl& x) {
  if (x.state != exchange::impl::answer::streaming || x.failed || cut_) co_return false;
  if (x.left && *x.left > 0) {
    context_->fault(where_, "the stream is shorter than its Content-Length");
    co_return false;  // stays `streaming`: the connection is cut, so that the peer sees it
  }
  x.state = exchange::impl::answer::finished;
  if (x.chunked) x.failed = !co_await send("0\r\n\r\n", {});
  co_return !x.failed;
}

asio::awaitable<std::optional<websocket>> session::upgrade(exchange::impl& x, websocket_options options) {
  using state = exchange::impl::answer;
  if (x.state != state::none || x.failed || cut_) co_return std::nullopt;
  auto& head = x.parser.get();
  if (!beast::websocket::is_upgrade(head)) {
    problem p;
    p.status = 426;
    p.code = "upgrade_required";
    p.detail = "this address speaks WebSocket (RFC 6455, version 13) only";
    auto answer = p.to_response();
    answer.headers.add("Upgrade", "websocket");
    answer.headers.add("Sec-WebSocket-Version", "13");
    co_await reply(x, std::move(answer));
    co_return std::nullopt;
  }
  if (!x.parser.is_done() || buffer_.size() > 0) {
    x.keep_alive = false;
    co_await reply(
        x, context_->refusal(400, "bad_request", "bytes after a WebSocket handshake that is not answered"));
    co_return std::nullopt;
  }
  std::string chosen;
  if (auto offered = x.request.headers.find("Sec-WebSocket-Protocol")) {
    auto names = split_list(*offered);
    for (const auto& ours : options.subprotocols) {
      if (std::find(names.begin(), names.end(), ours) == names.end()) continue;
      chosen = ours;
      break;
    }
  }
  x.state = state::upgraded;
  x.keep_alive = false;
  auto socket = wire_->to_websocket(options, who_);
  x.socket = socket;
  auto ec = co_await socket->accept(head, chosen);
  if (ec || cut_) {
    socket->cut();
    co_return std::nullopt;
  }
  socket->start();
  if (context_->stopping) begin_stop();
  co_return websocket(socket);
}

}  // namespace troupe::wire
