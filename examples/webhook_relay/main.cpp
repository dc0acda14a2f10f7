// webhook_relay DATA URL [TEXT]: delivers a text to a URL, and says how each delivery stands once none waits
// any more.
#include <condition_variable>
#include <iostream>
#include <mutex>

#include "runtime/host.h"
#include "webhook_relay/relay.h"

using namespace troupe;

namespace {

/// Knows how the deliveries stand, and when none waits any more.
class standing final : public subscriber {
 public:
  void on_snapshot(snapshot_ptr frame) override {
    std::lock_guard lock(mutex_);
    state_ = json::parse(frame->data);
    changed_.notify_all();
  }
  json once_settled() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return state_.is_object() && state_["waiting"] == 0; });
    return state_["deliveries"];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  json state_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: webhook_relay DATA URL [TEXT]\n";
    return 2;
  }
  host h({.data = argv[1], .kinds = {&relay::relay()}, .effects = {relay::webhook()}});
  h.start();
  const key mine("relay/mine");
  h.call_as_host(mine, "relay.open", json::object(), "open", /*create=*/true);
  const auto r = h.call({.to = mine,
                         .id = random_ids().next(system_clock().now()),
                         .name = "relay.deliver",
                         .body = {{"url", argv[2]}, {"body", {{"text", argc > 3 ? argv[3] : "hello"}}}},
                         .principal = "you"});
  if (!r.ok()) {
    std::cerr << r.error().detail << '\n';
    return 1;
  }
  // Accepted is safe: whoever has no time to wait may end here, and the next run delivers.
  const auto all = std::make_shared<standing>();
  const auto watching = h.subscribe(mine, std::nullopt, "you", all, [](std::optional<problem>) {});
  for (const auto& d : all->once_settled()) {
    std::cout << d["state"].get<std::string>() << "  " << d["url"].get<std::string>() << "  "
              << d["error"].get<std::string>() << '\n';
  }
}
