#include "net/wire/session.h"

#include <algorithm>
#include <exception>

#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>

#include "net/wire/text.h"
#include "net/wire/websocket_impl.h"

namespace troupe::wire {

namespace {

// What of an unread body is skipped to keep the connection.
constexpr std::size_t skip_bytes = 64 * 1024;

struct refusal_words {
  int status;
  const char* code;
  std::string detail;
};

refusal_words words_for(const error_code& ec, const server_options& options) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
    return {431, "header_too_large",
            "the request line and header fields are longer than " + std::to_string(options.header_bytes) +
                " bytes"};
  if (ec == http::error::bad_version) return {505, "http_version", "this server speaks HTTP/1.1"};
  if (ec == asio::error::timed_out) return {408, "request_timeout", "the request did not arrive in time"};
  return {400, "bad_request", "this is not a valid HTTP/1.1 request: " + ec.message()};
}

}  // namespace

response session_context::refusal(int status, std::string_view code, std::string_view detail) const {
  if (what.refuse) return what.refuse(status, code, detail);
  problem p;
  p.status = status;
  p.code = code;
  p.detail = detail;
  return p.to_response();
}

void session_context::fault(std::string_view where, std::string_view text) const {
  if (options.on_fault) options.on_fault(where, text);
}

session::session(std::shared_ptr<session_context> context, std::shared_ptr<transport> wire, peer who)
    : context_(std::move(context)), wire_(std::move(wire)), who_(std::move(who)) {}

asio::awaitable<void> session::run() {
  auto self = shared_from_this();
  wire_->read_by(clk::now() + context_->options.header_limit);
  const auto ec = co_await wire_->handshake();
  bool more = !ec;
  while (more) more = co_await one_request();
  wire_->close();
}

void session::begin_stop() {
  if (idle_) return cut();
  if (!current_ || stop_told_) return;
  using answer = exchange::impl::answer;
  auto state = current_->state;
  if (state != answer::streaming && state != answer::upgraded) return;
  stop_told_ = true;
  tell_gone(*current_);
  if (current_ && current_->socket)
    asio::co_spawn(
        get_executor(),
        [s = current_->socket] { return s->close(close_going_away, "the server is stopping"); },
        asio::detached);
}

void session::cut() {
  cut_ = true;
  if (current_) {
    auto held = current_->socket;
    if (held) held->cut();
    tell_gone(*current_);
  }
  wire_->close();
}

asio::awaitable<bool> session::one_request() {
  const auto& options = context_->options;
  message_parser<true> parser;
  parser.header_limit(static_cast<std::uint32_t>(options.header_bytes));
  parser.body_limit(no_body_limit);

  if (buffer_.size() == 0) {
    if (context_->stopping || cut_) co_return false;
    idle_ = true;
    wire_->read_by(clk::now() + options.idle_limit);
    error_code ec;
    auto n = co_await wire_->read_some(buffer_.prepare(read_chunk), ec);
    idle_ = false;
    if (ec || cut_) co_return false;
    buffer_.commit(n);
  }
  wire_->read_by(clk::now() + options.header_limit);
  auto ec = co_await read_head(*wire_, buffer_, parser);
  wire_->read_by(time_point::max());
  if (cut_) co_return false;
  if (ec == http::error::end_of_stream || ec == http::error::partial_message) co_return false;
  if (ec && ec.category() != make_error_code(http::error::bad_method).category() &&
      ec != asio::error::timed_out)
    co_return false;  // the socket failed
  if (ec) {
    auto words = words_for(ec, options);
    co_return co_await refuse(words.status, words.code, words.detail);
  }
  ++context_->requests;

  exchange::impl x{*this, {}, parser};
  auto& head = parser.get();
  auto& r = x.request;
  r.method = std::string(head.method_string());
  r.target = std::string(head.target());
  r.peer = who_;
  int hosts = 0;
  for (const auto& field : head) {
    if (field.name() == http::field::host) ++hosts;
    r.headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  where_ = r.method + " " + r.target.substr(0, r.target.find('?'));
  x.keep_alive = head.keep_alive() && !context_->stopping;
  x.head_only = r.method == "HEAD";

  if (r.target.size() > options.target_bytes)
    co_return co_await refuse(
        414, "target_too_long",
        "the request target is longer than " + std::to_string(options.target_bytes) + " bytes");
  if (head.version() >= 11 && hosts != 1)
    co_return co_await refuse(400, "bad_request", "HTTP/1.1 needs exactly one Host field");
  if (r.headers.has("Transfer-Encoding") && !parser.chunked())
    co_return co_await refuse(501, "transfer_encoding",
                              "of transfer codings this server knows 'chunked' alone");
  auto mark = r.target.find('?');
  std::string_view encoded_path = std::string_view(r.target).substr(0, mark);
  auto path = percent_decode(encoded_path);
  auto params = query::parse(mark == std::string::npos ? std::string_view()
                                                       : std::string_view(r.target).substr(mark + 1));
  if (!path || !params || (encoded_path != "*" && !encoded_path.starts_with('/')))
    co_return co_await refuse(400, "bad_request",
                              "the request target is not a path with valid percent escapes");
  r.path = std::move(*path);
  r.query = std::move(*params);
  if (auto expect = r.headers.find("Expect")) {
    if (!equal_ignoring_case(*expect, "100-continue"))
      co_return co_await refuse(417, "expectation", "of expectations this server knows '100-continue' alone");
    x.continue_owed = head.version() >= 11;
  }

  body_rule rule{options.body_bytes, false};
  if (context_->what.body) rule = context_->what.body(r, options.body_bytes);
  x.body_limit = rule.max_bytes;
  if (!co_await take_body(x, rule)) co_return false;
  co_return co_await run_handler(x);
}

asio::awaitable<bool> session::take_body(exchange::impl& x, const body_rule& rule) {
  auto length = x.parser.content_length();
  auto too_large = "the request body is over the limit of " + std::to_string(rule.max_bytes) + " bytes";
  if (length && *length > rule.max_bytes) {
    co_await refuse(413, "body_too_large", too_large);
    co_return false;
  }
  if (rule.streamed) co_return true;
  if (length) x.request.body.reserve(*length);
  for (;;) {
    auto piece = co_await read_body(x);
    if (!piece) {
      if (piece.error().kind == fault::too_large) co_await refuse(413, "body_too_large", too_large);
      if (piece.error().kind == fault::timed_out)
        co_await refuse(408, "request_timeout", "the request body did not arrive in time");
      if (piece.error().kind == fault::protocol) co_await refuse(400, "bad_request", piece.error().text);
      co_return false;
    }
    if (!piece.value()) co_return true;
    if (x.request.body.empty()) {
      x.request.body = std::move(*piece.value());
    } else {
      x.request.body += *piece.value();
    }
  }
}

asio::awaitable<result<std::optional<std::string>>> session::read_body(exchange::impl& x) {
  if (x.body_failed) co_return failure{fault::closed, "the request body could not be read"};
  if (x.parser.is_done()) co_return std::optional<std::string>();
  if (x.continue_owed) {
    x.continue_owed = false;
    if (!co_await send("HTTP/1.1 100 Continue\r\n\r\n", {})) {
      x.body_failed = true;
      co_return failure{fault::closed, "the peer is gone"};
    }
  }
  std::string piece(std::min(body_backlog, std::max<std::size_t>(x.body_limit - x.body_read, 1)), '\0');
  wire_->read_by(clk::now() + context_->options.body_limit);
  error_code ec;
  auto n = co_await read_body_some(*wire_, buffer_, x.parser, asio::buffer(piece), ec);
  wire_->read_by(time_point::max());
  if (ec) {
    x.body_failed = true;
    x.keep_alive = false;
    if (ec == asio::error::timed_out)
      co_return failure{fault::timed_out, "the request body did not arrive in time"};
    bool syntax = ec.category() == make_error_code(http::error::bad_method).category() &&
                  ec != http::error::partial_message;
    co_return failure{syntax ? fault::protocol : fault::closed,
                      "the request body could not be read: " + ec.message()};
  }
  // Only now does a byte that comes mean the next request, and an end the peer's.
  if (x.parser.is_done() && x.on_gone) watch();
  if (n == 0) co_return std::optional<std::string>();
  x.body_read += n;
  if (x.body_read > x.body_limit) {
    x.body_failed = true;
    x.keep_alive = false;
    co_return failure{fault::too_large,
                      "the request body is over the limit of " + std::to_string(x.body_limit) + " bytes"};
  }
  piece.resize(n);
  co_return std::optional<std::string>(std::move(piece));
}

asio::awaitable<bool> session::run_handler(exchange::impl& x) {
  using answer = exchange::impl::answer;
  exchange ex(x);
  current_ = &x;
  std::string thrown;
  try {
    co_await context_->what.handle(ex);
  } catch (const std::exception& e) {
    thrown = *e.what() ? e.what() : "an exception without words";
  } catch (...) {
    thrown = "an exception of an unknown type";
  }
  if (!thrown.empty()) {
    context_->fault(where_, thrown);
  } else if (x.state == answer::none && !cut_) {
    context_->fault(where_, "the handler returned without an answer");
  }
  if (x.state == answer::none && !cut_)
    co_await reply(x,
                   context_->refusal(500, "internal", "the server failed at this request; its log says why"));
  current_ = nullptr;
  if (x.socket) {
    x.socket->cut();
    co_return false;
  }
  if (x.state == answer::streaming || x.failed || cut_) co_return false;
  if (x.until_close || !x.keep_alive || context_->stopping) {
    if (!x.parser.is_done()) co_await linger();
    co_return false;
  }
  // A body that the handler did not want: skipped if that is cheap, else the connection ends.
  while (!x.parser.is_done()) {
    if (x.continue_owed || x.body_failed || x.body_read > skip_bytes) {
      co_await linger();
      co_return false;
    }
    x.body_limit = std::max(x.body_limit, 2 * skip_bytes);
    auto piece = co_await read_body(x);
    if (!piece) co_return false;
    if (!piece.value()) break;
  }
  co_return true;
}

bool session::gone(exchange::impl& x) {
  if (cut_ || x.failed || x.told_gone) return true;
  if (x.socket) return x.socket->over;
  if (!x.parser.is_done()) return false;
  return wire_->look() == transport::peer_state::ended;
}

void session::tell_gone(exchange::impl& x) {
  if (x.told_gone) return;
  x.told_gone = true;
  auto f = std::move(x.on_gone);
  x.on_gone = nullptr;
  if (f) f();
}

void session::watch() {
  if (watching_ || !wire_->is_open()) return;
  watching_ = true;
  wire_->socket().async_wait(stream_socket::wait_read, [weak = weak_from_this()](const error_code&) {
    auto self = weak.lock();
    if (!self) return;
    self->watching_ = false;
    auto* x = self->current_;
    if (!x || x->socket || !x->on_gone) return;
    // Bytes of a next request hide the end of the connection until they are read; there is nothing to watch
    // then.
    if (self->gone(*x)) self->tell_gone(*x);
  });
}

}  // namespace troupe::wire
