#include "bench/lanes.h"

#include <atomic>

#include <fmt/format.h>

#include "bench/counter.h"
#include "bench/load.h"
#include "bench/measure.h"

namespace troupe::bench {
namespace {

constexpr int backlog = 100'000;
constexpr int asked = 1000;

std::vector<double> interactive(host& h, const char* name) {
  std::vector<double> took;
  for (int i = 0; i < asked; ++i) {
    const double at = seconds();
    h.call({.to = counter_key(0),
            .id = fmt::format("{}-{}", name, i),
            .name = "counter.add",
            .body = {{"n", 1}},
            .principal = "me"});
    took.push_back(seconds() - at);
  }
  return took;
}

}  // namespace

void lanes(const std::filesystem::path& parent) {
  folder dir(parent);
  host_options o{.data = dir.path() / "data", .kinds = {&counter()}, .sync = storage::durability::full};
  o.limits.mailbox_commands = 2 * backlog;
  o.limits.mailbox_bytes = std::size_t{1} << 30;
  host h(std::move(o));
  h.start();
  open_counters(h, 1);
  const auto alone = interactive(h, "alone");
  std::atomic<int> left = backlog, refused = 0;
  for (int i = 0; i < backlog; ++i)
    h.command({.to = counter_key(0),
               .id = fmt::format("later-{}", i),
               .name = "counter.later",
               .body = {{"n", 1}},
               .principal = "worker",
               .timeout = std::chrono::minutes(10)},
              [&](const reply& r) {
                if (!r.ok()) ++refused;
                --left;
                left.notify_all();
              });
  const int queued = left;
  const auto behind = interactive(h, "behind");
  const int still = left;
  for (int n = left; n > 0; n = left) left.wait(n);
  fmt::print("\n{:<52} {:>7.0f} us {:>7.0f} us\n", "an interactive command of an idle actor: median, p99",
             quantile(alone, 0.5) * 1e6, quantile(alone, 0.99) * 1e6);
  fmt::print("{:<52} {:>7.0f} us {:>7.0f} us  ({} queued, {} done meanwhile, {} refused)\n",
             "the same with a background queue: median, p99", quantile(behind, 0.5) * 1e6,
             quantile(behind, 0.99) * 1e6, queued, queued - still, refused.load());
}

}  // namespace troupe::bench
