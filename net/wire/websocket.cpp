#include "net/wire/websocket.h"

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/beast/websocket/error.hpp>

#include "net/wire/text.h"
#include "net/wire/websocket_impl.h"

namespace troupe::wire {

namespace ws = beast::websocket;

namespace {

// The longest reason that fits a close frame beside its code.
constexpr std::size_t close_reason_bytes = 123;

ws_close close_of(const error_code& ec) {
  if (ec == ws::error::message_too_big || ec == ws::error::buffer_overflow)
    return {close_too_big, "a message is over the limit"};
  if (ec == ws::error::bad_frame_payload) return {close_bad_utf8, "a text is not UTF-8"};
  if (ec == ws::condition::protocol_violation) return {close_protocol_error, ec.message()};
  return {close_abnormal, ec.message()};
}

}  // namespace

// RFC 6455 section 5.2; RSV1 says compressed (RFC 7692).
outgoing::outgoing(shared_bytes payload, bool is_text, bool is_deflated)
    : bytes(std::move(payload)), text(is_text) {
  head[0] = static_cast<unsigned char>(0x80 | (is_deflated ? 0x40 : 0) | (text ? 1 : 2));
  const std::uint64_t size_of_payload = bytes->size();
  const std::size_t wide = size_of_payload < 126 ? 0 : size_of_payload < 65536 ? 2 : 8;
  head[1] = static_cast<unsigned char>(wide == 0 ? size_of_payload : wide == 2 ? 126 : 127);
  for (std::size_t i = 0; i < wide; ++i)
    head[head_size++] = static_cast<unsigned char>(size_of_payload >> 8 * (wide - 1 - i));
}

std::array<asio::const_buffer, 2> outgoing::unsent() const {
  return {asio::buffer(head.data(), head_size) + sent,
          asio::buffer(*bytes) + (sent > head_size ? sent - head_size : 0)};
}

websocket::impl::impl(executor s, const websocket_options& o, wire::peer p)
    : strand(std::move(s)),
      options(o),
      who(std::move(p)),
      ping_timer_(strand),
      write_timer_(strand),
      change_(strand, time_point::max()),
      last_heard_(clock::now()) {}

void websocket::impl::start() {
  heard();
  asio::co_spawn(
      strand, [self = shared_from_this()]() { return self->ping_loop(); }, asio::detached);
}

void websocket::impl::wake() {
  change_.cancel();
}

asio::awaitable<void> websocket::impl::changed() {
  error_code ignored;
  co_await change_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

void websocket::impl::ended(const error_code& ec) {
  if (over) return;
  over = true;
  if (end.code == close_abnormal) {
    // What the peer said counts, though the answer to its close may not have found it any more.
    auto said = peer_close();
    end = ec == ws::error::closed || said.code != close_none ? said : close_of(ec);
  }
  ping_timer_.cancel();
  wake();
}

void websocket::impl::cut() {
  ended(asio::error::operation_aborted);
  error_code ignored;
  socket().close(ignored);
}

asio::awaitable<std::optional<ws_message>> websocket::impl::read() {
  auto self = shared_from_this();
  if (over) co_return std::nullopt;
  reading_ = true;
  heard();
  error_code ec;
  do {
    ec = co_await read_some(buffer_);
    heard();
  } while (!ec && !message_done());
  reading_ = false;
  if (ec) {
    ended(ec);
    // Beast has told the peer why, where the protocol has words for it.
    if (!close_done_ && !closing) {
      error_code ignored;
      socket().close(ignored);
    }
    co_return std::nullopt;
  }
  ws_message message;
  message.text = got_text();
  auto bytes = buffer_.cdata();
  message.data.assign(static_cast<const char*>(bytes.data()), bytes.size());
  buffer_.clear();
  // One large message should not be paid for ever after.
  if (buffer_.capacity() > body_backlog) buffer_.shrink_to_fit();
  co_return message;
}

bool websocket::impl::enqueue(shared_bytes bytes, bool text, bool deflated) {
  if (over || closing || deaf_peer_ || !bytes) return false;
  bool idle = queue.empty();
  // A lone message always fits, however long.
  if (!idle && (queue.size() > options.queue_messages || queued_bytes + bytes->size() > options.queue_bytes))
    return false;
  outgoing message(std::move(bytes), text, deflated);
  ++accepted_;
  if (idle && !pumping_) {
    // Nearly always the kernel has room.
    message.sent = write_now(message);
    if (message.sent == message.size()) {
      ++written_;
      return true;
    }
  }
  queued_bytes += message.bytes->size();
  queue.push_back(std::move(message));
  if (!pumping_) {
    pumping_ = true;
    asio::co_spawn(
        strand, [self = shared_from_this()]() { return self->pump(); }, asio::detached);
  }
  return true;
}

asio::awaitable<bool> websocket::impl::write(shared_bytes bytes, bool text, bool deflated) {
  auto self = shared_from_this();
  while (!enqueue(bytes, text, deflated)) {
    if (over || closing || deaf_peer_ || !bytes) co_return false;
    co_await changed();
  }
  auto mine = accepted_;
  while (written_ < mine && !over && !deaf_peer_) co_await changed();
  co_return written_ >= mine;
}

asio::awaitable<bool> websocket::impl::drained() {
  auto self = shared_from_this();
  while (!queue.empty() && !over && !deaf_peer_) co_await changed();
  co_return !over && !deaf_peer_;
}

asio::awaitable<void> websocket::impl::pump() {
  while (!queue.empty() && !over) {
    auto& next = queue.front();
    write_timer_.expires_after(options.write_limit);
    write_timer_.async_wait([weak = weak_from_this()](const error_code& ec) {
      auto self = ec ? nullptr : weak.lock();
      // A wait that was cancelled too late must not cut the message after its own.
      if (self && self->write_timer_.expiry() <= clock::now()) self->cut();
    });
    auto ec = co_await write_message(next);
    write_timer_.cancel();
    if (ec && reading_) {
      deaf_peer_ = true;
      write_timer_.expires_after(options.close_limit);
      write_timer_.async_wait([weak = weak_from_this()](const error_code& late) {
        if (auto self = late ? nullptr : weak.lock()) self->cut();
      });
      break;
    }
    if (ec) {
      ended(ec);
      break;
    }
    queued_bytes -= queue.front().bytes->size();
    queue.pop_front();
    ++written_;
    wake();
  }
  if (over || deaf_peer_) {
    queue.clear();
    queued_bytes = 0;
  }
  pumping_ = false;
  wake();
}

asio::awaitable<void> websocket::impl::ping_loop() {
  // Checks often enough that silence is noticed within a quarter of its limit.
  auto step = std::min(options.ping_every, options.silent_limit / 4);
  auto next_ping = clock::now() + options.ping_every;
  while (!over) {
    ping_timer_.expires_after(step);
    error_code ec;
    co_await ping_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    if (over) break;
    auto now = clock::now();
    if (reading_ && now - last_heard_ > options.silent_limit) {
      end = {close_abnormal, "the peer was silent"};
      cut();
      break;
    }
    if (now < next_ping || closing) continue;
    next_ping = now + options.ping_every;
    if (co_await write_ping()) break;
  }
}

asio::awaitable<void> websocket::impl::close(std::uint16_t code, std::string reason) {
  auto self = shared_from_this();
  if (closing) {
    while (!close_done_) co_await changed();
    co_return;
  }
  closing = true;
  while (pumping_) co_await changed();
  if (!over) {
    end = {code, std::string(cut_utf8(reason, close_reason_bytes))};
    asio::steady_timer limit(strand);
    limit.expires_after(options.close_limit);
    limit.async_wait([weak = weak_from_this()](const error_code& ec) {
      if (ec) return;
      if (auto late = weak.lock()) late->cut();
    });
    auto ec = co_await write_close(code, end.reason);
    limit.cancel();
    ended(ec ? ec : error_code(ws::error::closed));
  }
  error_code ignored;
  socket().close(ignored);
  close_done_ = true;
  wake();
}

websocket::websocket(std::shared_ptr<impl> i) : impl_(std::move(i)) {}
websocket::websocket(websocket&&) noexcept = default;

websocket& websocket::operator=(websocket&& other) noexcept {
  if (this != &other) {
    cut();
    impl_ = std::move(other.impl_);
  }
  return *this;
}

websocket::~websocket() {
  cut();
}

asio::awaitable<std::optional<ws_message>> websocket::read() {
  return impl_->read();
}

asio::awaitable<bool> websocket::write(std::string message, bool text) {
  return impl_->write(std::make_shared<const std::string>(std::move(message)), text);
}

asio::awaitable<bool> websocket::write(shared_bytes message, bool text) {
  return impl_->write(std::move(message), text);
}

bool websocket::send(std::string message, bool text) {
  return impl_->enqueue(std::make_shared<const std::string>(std::move(message)), text);
}

bool websocket::send(shared_bytes message, bool text) {
  return impl_->enqueue(std::move(message), text);
}

bool websocket::send_deflated(shared_bytes message) {
  return impl_->deflates && impl_->enqueue(std::move(message), true, true);
}

bool websocket::deflates() const {
  return impl_->deflates;
}

asio::awaitable<bool> websocket::drained() {
  return impl_->drained();
}

std::size_t websocket::queued_bytes() const {
  return impl_->queued_bytes;
}
std::size_t websocket::queued_messages() const {
  return impl_->queue.size();
}

asio::awaitable<void> websocket::close(std::uint16_t code, std::string reason) {
  return impl_->close(code, std::move(reason));
}

void websocket::cut() {
  if (!impl_) return;
  asio::dispatch(impl_->strand, [i = impl_] { i->cut(); });
}

bool websocket::open() const {
  return !impl_->over && !impl_->closing;
}
const ws_close& websocket::closed() const {
  return impl_->end;
}
const std::string& websocket::subprotocol() const {
  return impl_->subprotocol;
}
const wire::peer& websocket::peer() const {
  return impl_->who;
}
executor websocket::get_executor() const {
  return impl_->strand;
}

}  // namespace troupe::wire
