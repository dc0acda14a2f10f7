#include "sandboxd/isolation/control_channel.h"

#include <errno.h>
#include <fcntl.h>

#include <map>
#include <optional>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <nlohmann/json.hpp>

#include "sandboxd/isolation/channel_answer.h"
#include "sandboxd/isolation/control.h"

namespace troupe::sandboxd {

namespace asio = wire::asio;
using boost::system::error_code;
using nlohmann::json;

namespace {

// An answer that someone waits for. The timer is the bell: cancelled when there is a result.
struct question {
  explicit question(const wire::executor& ex) : bell(ex) {}
  asio::steady_timer bell;
  std::optional<outcome<control_channel::answer>> result;
};

}  // namespace

struct control_channel::impl : std::enable_shared_from_this<impl> {
  impl(const wire::executor& e, descriptor fd) : ex(e), socket(e) {
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
    socket.assign(fd.release());
  }

  wire::executor ex;
  asio::posix::stream_descriptor socket;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::shared_ptr<question>> open;
  event on_event;
  std::function<void()> on_closed;
  bool gone = false;

  void end(bool say) {
    if (gone) return;
    gone = true;
    error_code ignored;
    socket.close(ignored);
    for (auto& [id, q] : open) {
      q->result = outcome<answer>{os_error{ENOTCONN, "the sandbox is gone"}};
      q->bell.cancel();
    }
    open.clear();
    auto last = std::exchange(on_closed, nullptr);
    on_event = nullptr;
    if (say && last) last();
  }

  asio::awaitable<void> read() {
    auto self = shared_from_this();
    error_code ec;
    while (!gone) {
      auto got = receive_packet(socket.native_handle());
      if (!got) {
        if (got.error().number != EAGAIN) break;
        co_await socket.async_wait(asio::posix::stream_descriptor::wait_read,
                                   asio::redirect_error(asio::use_awaitable, ec));
        if (ec) break;
        continue;
      }
      json body = json::parse(got->text, nullptr, false);
      if (!body.is_object()) break;  // not our protocol: whoever speaks there is not init
      try {
        if (body.contains("event")) {
          if (on_event) on_event(body, std::move(got->fds));
          continue;
        }
        auto found = open.find(body.at("id").get<std::uint64_t>());
        if (found == open.end()) continue;  // answered too late; descriptors close here
        auto q = found->second;
        open.erase(found);
        if (body.contains("errno"))
          q->result = outcome<answer>{os_error{body["errno"].get<int>(), body.value("text", "")}};
        else
          q->result = outcome<answer>{answer{std::move(body), std::move(got->fds)}};
        q->bell.cancel();
      } catch (const json::exception&) {
        break;
      }
    }
    end(true);
  }

  asio::awaitable<outcome<done>> send(std::string text) {
    for (;;) {
      if (gone) co_return os_error{ENOTCONN, "the sandbox is gone"};
      auto sent = send_packet(socket.native_handle(), text);
      if (sent || sent.error().number != EAGAIN) co_return sent;
      error_code ec;
      co_await socket.async_wait(asio::posix::stream_descriptor::wait_write,
                                 asio::redirect_error(asio::use_awaitable, ec));
      if (ec) co_return os_error{ENOTCONN, "the sandbox is gone"};
    }
  }
};

control_channel::control_channel(wire::executor ex, descriptor socket)
    : impl_(std::make_shared<impl>(ex, std::move(socket))) {}

control_channel::~control_channel() {
  impl_->end(false);
}

void control_channel::start(event on_event, std::function<void()> on_closed) {
  impl_->on_event = std::move(on_event);
  impl_->on_closed = std::move(on_closed);
  asio::co_spawn(
      impl_->ex, [self = impl_] { return self->read(); }, asio::detached);
}

asio::awaitable<outcome<control_channel::answer>> control_channel::ask(json request) {
  auto self = impl_;
  if (self->gone) co_return os_error{ENOTCONN, "the sandbox is gone"};
  if (self->open.size() >= channel_questions)
    co_return os_error{EAGAIN, "too many operations of this sandbox are waiting"};
  const auto id = ++self->last_id;
  request["id"] = id;
  auto q = std::make_shared<question>(self->ex);
  q->bell.expires_after(channel_limit);
  self->open.emplace(id, q);
  auto sent = co_await self->send(request.dump(-1, ' ', false, json::error_handler_t::replace));
  if (!sent && !q->result) {
    self->open.erase(id);
    co_return sent.error();
  }
  if (!q->result) {
    error_code ec;
    co_await q->bell.async_wait(asio::redirect_error(asio::use_awaitable, ec));
  }
  if (!q->result) {
    self->open.erase(id);
    co_return os_error{ETIMEDOUT, "the sandbox did not answer within 60 s"};
  }
  co_return std::move(*q->result);
}

void control_channel::tell(json request) {
  asio::co_spawn(
      impl_->ex,
      [self = impl_,
       text = request.dump(-1, ' ', false, json::error_handler_t::replace)]() -> asio::awaitable<void> {
        auto keep = self;
        auto sent = co_await keep->send(text);
        (void)sent;
      },
      asio::detached);
}

void control_channel::close() {
  impl_->end(false);
}
bool control_channel::closed() const {
  return impl_->gone;
}

}  // namespace troupe::sandboxd
