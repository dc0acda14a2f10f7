// Sandboxes, for the sandbox actor: the effects sandbox.* and the feed sandbox.watch of docs/effects.md.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "drivers/daemon/daemon_client.h"
#include "drivers/sandbox/provider.h"
#include "runtime/effect.h"

namespace troupe::drivers::sandbox {

struct options {
  std::chrono::milliseconds create_limit = std::chrono::minutes(2);
  std::chrono::milliseconds destroy_limit = std::chrono::minutes(10);
  std::chrono::milliseconds call_limit = std::chrono::seconds(60);
  std::chrono::milliseconds exec_limit = std::chrono::minutes(30);
  // How often a watched sandbox is looked at. What happens inside shows after this time at the latest.
  std::chrono::milliseconds watch_every = std::chrono::seconds(1);
};

// Registered with the host. `world` and `daemons` outlive it; `ex` may be run by many threads.
std::vector<effect_kind> effects(wire::executor ex, std::shared_ptr<provider> world, daemon_client& daemons,
                                 read_secret secrets, options limits = {});
std::vector<feed_kind> feeds(wire::executor ex, std::shared_ptr<provider> world, daemon_client& daemons,
                             options limits = {});

// A body of sandbox.create as the provider takes it; `secrets` are looked up for `org`.
attempt<sandbox_request> request_from(const json& body, const read_secret& secrets, std::string_view org);

}  // namespace troupe::drivers::sandbox
