#include <exception>
#include <optional>

#include "net/wire/client.h"

namespace troupe::wire {

struct blocking_client::impl {
  explicit impl(client_options options) : loop(1), shared(loop.get_executor(), std::move(options)) {}

  template <class Program>
  void run(Program program) {
    std::exception_ptr thrown;
    bool done = false;
    asio::co_spawn(loop, program, [&](std::exception_ptr e) {
      thrown = e;
      done = true;
    });
    loop.restart();
    // Not run(): what the connections left waiting (an idle one's timer) is no reason to wait here.
    while (!done && loop.run_one() > 0) {
    }
    if (thrown) std::rethrow_exception(thrown);
  }

  asio::io_context loop;
  client shared;
};

blocking_client::blocking_client(client_options options)
    : impl_(std::make_unique<impl>(std::move(options))) {}
blocking_client::~blocking_client() = default;

void blocking_client::run(const std::function<asio::awaitable<void>(client&)>& program) {
  impl_->run([&]() -> asio::awaitable<void> { co_await program(impl_->shared); });
}

result<response> blocking_client::fetch(const endpoint& to, request what, clock::duration limit) {
  std::optional<result<response>> out;
  impl_->run(
      [&]() -> asio::awaitable<void> { out = co_await impl_->shared.fetch(to, std::move(what), limit); });
  if (!out) return failure{fault::closed, "the request to " + to.name() + " never ended"};
  return std::move(*out);
}

result<int> blocking_client::events(const endpoint& to, request what,
                                    const std::function<bool(const sse_event&)>& f, std::string* body,
                                    clock::duration silence) {
  std::optional<result<int>> out;
  impl_->run([&]() -> asio::awaitable<void> {
    auto stream = co_await impl_->shared.open_stream(to, std::move(what), clock::now() + silence);
    if (!stream) {
      out = stream.error();
      co_return;
    }
    if (stream->status() != 200) {
      constexpr std::size_t body_limit = 1 << 20;
      std::string text;
      while (text.size() < body_limit) {
        auto piece = co_await stream->read(silence);
        if (!piece || !piece.value()) break;
        text += **piece;
      }
      if (body) *body = std::move(text);
      out = stream->status();
      co_return;
    }
    for (;;) {
      auto event = co_await stream->read_event(silence);
      if (!event) {
        out = event.error();
        co_return;
      }
      if (!event.value() || !f(**event)) break;
    }
    out = stream->status();
  });
  if (!out) return failure{fault::closed, "the stream of " + to.name() + " never ended"};
  return std::move(*out);
}

}  // namespace troupe::wire
