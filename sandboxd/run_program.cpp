#include "sandboxd/run_program.h"

#include <signal.h>

#include "net/wire/asio.h"
#include "net/wire/signal.h"
#include "sandboxd/byte_source.h"

namespace troupe::sandboxd {
namespace asio = wire::asio;
namespace {

// After the end of the process, for what still stands in its pipes while a descendant holds them open.
constexpr auto drain_limit = std::chrono::milliseconds(200);

struct run_state {
  explicit run_state(wire::executor ex) : changed(ex) {}
  bool exited = false;
  bool abandoned = false;  // nobody waits for the end any more
  int open_streams = 2;
  exit_status how;
  kept_output output;
  kept_output error;
  wire::signal changed;
};

awaitable<void> collect(std::shared_ptr<byte_source> from, kept_output& into, std::size_t limit,
                        std::shared_ptr<run_state> state) {
  for (;;) {
    auto bytes = co_await from->read();
    if (bytes.empty()) break;
    auto room = limit - std::min(limit, into.bytes.size());
    if (bytes.size() > room) into.truncated = true;
    into.bytes.append(bytes, 0, room);
  }
  --state->open_streams;
  state->changed.raise();
}

awaitable<void> watch(place& where, process_id id, std::shared_ptr<run_state> state) {
  state->how = co_await where.wait(id);
  state->exited = true;
  state->changed.raise();
  if (state->abandoned) where.forget(id);
}

}  // namespace

awaitable<outcome<run_result>> run_program(place& where, run_spec spec) {
  auto ex = co_await asio::this_coro::executor;
  auto began = wire::clock::now();
  auto started = co_await where.spawn(std::move(spec.process));
  if (!started) co_return started.error();
  auto id = started->id;
  started->input.reset();
  auto state = std::make_shared<run_state>(ex);
  auto output = std::make_shared<byte_source>(ex, std::move(started->output));
  auto error = std::make_shared<byte_source>(ex, std::move(started->error));
  asio::co_spawn(ex, collect(output, state->output, spec.max_output_bytes, state), asio::detached);
  asio::co_spawn(ex, collect(error, state->error, spec.max_output_bytes, state), asio::detached);
  asio::co_spawn(ex, watch(where, id, state), asio::detached);

  run_result out;
  auto deadline = began + spec.limit;
  while (!state->exited) {
    if (co_await state->changed.wait(deadline)) continue;
    if (state->exited) break;
    out.timed_out = true;
    co_await where.signal(id, SIGKILL, reach::tree);
    // A killed process ends; should it not (it hangs in the kernel), the caller gets the time-out all the
    // same.
    auto last = wire::clock::now() + std::chrono::seconds(2);
    while (!state->exited)
      if (!co_await state->changed.wait(last)) break;
    break;
  }
  auto drained = wire::clock::now() + drain_limit;
  while (state->open_streams > 0)
    if (!co_await state->changed.wait(drained)) break;
  output->close();
  error->close();
  if (state->exited)
    where.forget(id);
  else
    state->abandoned = true;
  if (!out.timed_out) out.how = state->how;
  out.output = std::move(state->output);
  out.error = std::move(state->error);
  out.duration = std::chrono::duration_cast<std::chrono::milliseconds>(wire::clock::now() - began);
  co_return out;
}

}  // namespace troupe::sandboxd
