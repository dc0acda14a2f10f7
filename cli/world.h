// Everything that performs effects: sandboxes, agents and git, with what they share.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/daemon/daemon_client.h"
#include "drivers/sandbox/egress_rule.h"
#include "net/wire/asio.h"
#include "runtime/effect.h"

namespace troupe::cli {

struct world_options {
  std::filesystem::path data;
  std::vector<std::filesystem::path> repository_roots;
  std::string sandboxd;
  std::string scripted_agent;
  std::filesystem::path tools;
  std::vector<std::pair<std::uint16_t, drivers::host_port>> forwards;
  bool unsafe_no_isolation = false;
  bool allow_private_webhooks = false;
  std::function<std::optional<std::string>(std::string_view org, std::string_view name)> secrets;
  /// All of an organization, to be taken out of what its agents say.
  std::function<std::vector<std::string>(std::string_view org)> secret_values;
  std::function<void(std::string_view area, std::string_view text)> log;
};

/// Owned by the program; outlives the host that its effects are registered with.
class world {
 public:
  virtual ~world() = default;
  /// Ends what is in progress; its coroutines come to their end soon after. Sandboxes and agents live on.
  virtual void stop() = 0;
  virtual std::vector<effect_kind> effects() = 0;
  virtual std::vector<feed_kind> feeds() = 0;
  /// Where the daemon of a sandbox answers. Any thread, never waits.
  virtual std::optional<drivers::daemon_address> find_daemon(const std::string& handle) const = 0;
  /// Of the sandboxes made here.
  virtual const std::string& tier() const = 0;
};

/// Throws failure when agents cannot be isolated here and that was not allowed, or a program is missing.
std::unique_ptr<world> make_world(wire::executor, world_options);

}  // namespace troupe::cli
