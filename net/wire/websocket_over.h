// Beast's WebSocket streams, the costly templates of this folder. Instantiated for TLS in a file of its own:
// a program that only serves does not load the TLS library.
#pragma once

#include <boost/asio/redirect_error.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket.hpp>

#include "net/wire/websocket_impl.h"
#include "net/wire/write_gate.h"

namespace troupe::wire {

namespace ws = beast::websocket;

inline constexpr std::size_t refusal_body_bytes = 64 * 1024;

inline std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

template <class Next>
class websocket_over final : public websocket::impl {
 public:
  websocket_over(Next&& next, const websocket_options& o, wire::peer p)
      : impl(next.get_executor(), o, std::move(p)), stream_(std::move(next)) {
    // Silence and late writes are measured by the base; Beast keeps only the handshake's clock.
    ws::stream_base::timeout clocks{};
    clocks.handshake_timeout = std::chrono::seconds(10);
    clocks.idle_timeout = ws::stream_base::none();
    clocks.keep_alive_pings = false;
    stream_.set_option(clocks);
    stream_.read_message_max(o.message_limit);
    stream_.auto_fragment(false);
    if (o.deflate) {
      ws::permessage_deflate d;
      d.server_enable = d.client_enable = true;
      d.server_no_context_takeover = d.client_no_context_takeover = true;
      stream_.set_option(d);
    }
  }

  asio::awaitable<error_code> accept(const http::request<http::buffer_body>& head,
                                     const std::string& chosen) override {
    subprotocol = chosen;
    stream_.set_option(ws::stream_base::decorator([&](ws::response_type& answer) {
      for (const auto& [name, value] : options.extra) answer.insert(name, value);
      if (!chosen.empty()) answer.set(http::field::sec_websocket_protocol, chosen);
      deflates = deflate_agreed(answer);
    }));
    error_code ec;
    co_await stream_.async_accept(head, asio::redirect_error(asio::use_awaitable, ec));
    forget_decorator();
    if (!ec) hear_control_frames();
    server_ = true;
    co_return ec;
  }

  asio::awaitable<std::optional<failure>> connect(const std::string& host,
                                                  const std::string& target) override {
    stream_.set_option(ws::stream_base::decorator([&](ws::request_type& ask) {
      for (const auto& [name, value] : options.extra) ask.set(name, value);
      if (!options.subprotocols.empty())
        ask.set(http::field::sec_websocket_protocol, joined(options.subprotocols));
    }));
    error_code ec;
    ws::response_type answer;
    co_await stream_.async_handshake(answer, host, target, asio::redirect_error(asio::use_awaitable, ec));
    forget_decorator();
    if (!ec) {
      subprotocol = std::string(answer[http::field::sec_websocket_protocol]);
      hear_control_frames();
      co_return std::nullopt;
    }
    failure f;
    if (ec == ws::error::upgrade_declined) {
      f.kind = fault::refused;
      f.status = static_cast<int>(answer.result_int());
      f.text = "the server answered " + std::to_string(f.status) + " to the WebSocket handshake";
      f.body = answer.body().substr(0, refusal_body_bytes);
    } else {
      bool late = ec == beast::error::timeout || ec == asio::error::operation_aborted;
      f.kind = late ? fault::timed_out : fault::protocol;
      f.text = "WebSocket handshake: " + ec.message();
    }
    co_return f;
  }

 protected:
  asio::awaitable<error_code> read_some(beast::flat_buffer& into) override {
    error_code ec;
    co_await stream_.async_read_some(into, 0, asio::redirect_error(asio::use_awaitable, ec));
    co_return ec;
  }

  bool message_done() const override { return stream_.is_message_done(); }
  bool got_text() const override { return stream_.got_text(); }

  // A server's frames are not masked: what is sent is the same for every client, and goes past Beast.
  std::size_t write_now(const outgoing& message) override {
    return server_ && stream_.is_open() ? stream_.next_layer().write_now(message.unsent()) : 0;
  }

  asio::awaitable<error_code> write_message(const outgoing& message) override {
    error_code ec;
    if (server_) {
      if (stream_.is_open()) co_return co_await stream_.next_layer().write(message.unsent());
      co_return ws::error::closed;
    }
    stream_.text(message.text);
    co_await stream_.async_write(asio::buffer(*message.bytes), asio::redirect_error(asio::use_awaitable, ec));
    co_return ec;
  }

  asio::awaitable<error_code> write_ping() override {
    error_code ec;
    ws::ping_data nothing;
    co_await stream_.async_ping(nothing, asio::redirect_error(asio::use_awaitable, ec));
    co_return ec;
  }

  asio::awaitable<error_code> write_close(std::uint16_t code, const std::string& reason) override {
    error_code ec;
    ws::close_reason why;
    // 1005 never travels: it stands for a close frame without a code.
    why.code = code == close_none ? static_cast<std::uint16_t>(ws::close_code::none) : code;
    why.reason.assign(reason.data(), reason.size());
    co_await stream_.async_close(why, asio::redirect_error(asio::use_awaitable, ec));
    co_return ec;
  }

  ws_close peer_close() const override {
    const auto& why = stream_.reason();
    return {
        why.code == ws::close_code::none ? std::uint16_t{close_none} : static_cast<std::uint16_t>(why.code),
        std::string(why.reason.data(), why.reason.size())};
  }

  stream_socket& socket() override { return beast::get_lowest_layer(stream_); }

 private:
  // The decorator refers to the frame of the handshake.
  void forget_decorator() {
    stream_.set_option(ws::stream_base::decorator([](ws::response_type&) {}));
  }

  // Whether what was compressed once for all may be sent: each message by itself, with the largest window.
  static bool deflate_agreed(const ws::response_type& answer) {
    const beast::string_view agreed = answer[http::field::sec_websocket_extensions];
    return agreed.find("permessage-deflate") != agreed.npos &&
           agreed.find("server_max_window_bits") == agreed.npos;
  }

  void hear_control_frames() {
    stream_.control_callback([this](ws::frame_type, beast::string_view) { heard(); });
  }

  ws::stream<write_gate<Next>> stream_;
  bool server_ = false;
};

}  // namespace troupe::wire
