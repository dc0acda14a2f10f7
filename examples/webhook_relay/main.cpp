// webhook_relay DATA URL [TEXT]: delivers a text to a URL, and says how each delivery stands once none waits
// any more.
#include <chrono>
#include <future>
#include <iostream>
#include <thread>

#include "runtime/host.h"
#include "webhook_relay/relay.h"

using namespace troupe;

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
  json state;
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::promise<std::variant<snapshot_ptr, problem>> told;
    h.snapshot(mine, "you", [&](auto is) { told.set_value(std::move(is)); });
    const auto is = told.get_future().get();
    if (const auto* frame = std::get_if<snapshot_ptr>(&is)) state = json::parse((*frame)->data);
  } while (state.value("waiting", 1) > 0);
  for (const auto& d : state["deliveries"]) {
    std::cout << d["state"].get<std::string>() << "  " << d["url"].get<std::string>() << "  "
              << d["error"].get<std::string>() << '\n';
  }
}
