#include "cli/materialize.h"

namespace troupe::cli {

namespace asio = wire::asio;

namespace {

constexpr std::chrono::milliseconds look_every{5};
constexpr std::chrono::milliseconds look_for{2000};

// The organization's message to the task is on its way when the command is answered; there is no event for
// its arrival that would not wake the task a second time.
asio::awaitable<void> await_actor(host& h, key wanted, std::function<void(bool)> done) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const auto until = std::chrono::steady_clock::now() + look_for;
  while (!h.exists(wanted) && std::chrono::steady_clock::now() < until) {
    timer.expires_after(look_every);
    co_await timer.async_wait(asio::use_awaitable);
  }
  done(h.exists(wanted));
}

}  // namespace

gateway::materializer make_materializer(wire::executor ex, host& h) {
  return [ex, &h](const key& wanted, const std::string&, std::function<void(bool)> done) {
    const auto task = wanted.up_to("task");
    const auto org = wanted.up_to("org");
    if (!task || !org || *task != wanted) return done(false);
    h.command_as_host(*org, "org.materialize_task", {{"task", std::string(task->id())}},
                      "materialize " + random_ids().next(system_clock().now()),
                      [ex, &h, wanted, done = std::move(done)](const reply& r) {
                        if (!r.ok()) return done(false);
                        asio::co_spawn(ex, await_actor(h, wanted, done), asio::detached);
                      });
  };
}

gateway::look_auditor make_look_auditor(host& h) {
  return [&h](const std::string& principal, const key& looked_at, std::string_view what) {
    const auto org = looked_at.up_to("org");
    if (!org) return;
    const auto now = system_clock().now();
    const json payload{{"actor", looked_at.str()}, {"what", what}};
    h.command_as_host(
        org->child("audit-log"), "audit.append",
        {{"time", to_ms(now)}, {"principal", principal}, {"kind", "inspector.looked"}, {"payload", payload}},
        "look " + random_ids().next(now), [](const reply&) {});
  };
}

}  // namespace troupe::cli
