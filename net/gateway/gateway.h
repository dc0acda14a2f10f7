// HTTP and WebSocket in front of a host: commands, queries, snapshots, streams, the inspector, secrets, the
// dashboard. docs/protocol.md is the contract.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/gateway/auth.h"
#include "net/gateway/network.h"
#include "net/gateway/secrets.h"
#include "net/wire/asio.h"
#include "net/wire/client.h"
#include "net/wire/result.h"
#include "net/wire/server.h"
#include "runtime/host.h"

namespace troupe::gateway {

struct gateway_limits {
  std::size_t frame_bytes = 1 << 20;  ///< of one incoming WebSocket message
  std::size_t body_bytes = 1 << 20;
  std::size_t subscriptions = 1000;            ///< of one connection
  std::size_t commands_in_flight = 256;        ///< of one connection, queries included
  std::size_t connections_per_principal = 64;  ///< WebSockets and event streams
  std::size_t connections = 4096;              ///< in all
  std::size_t waiting_replies = 1024;          ///< of one connection; beyond it its messages are not read
  std::chrono::milliseconds default_timeout{10'000};
  std::chrono::milliseconds max_timeout{120'000};
  std::chrono::milliseconds materialize_timeout{2'000};
  std::chrono::milliseconds ping_every{20'000};
  std::chrono::milliseconds silent_limit{60'000};
  std::chrono::milliseconds write_limit{30'000};
};

/// Sent when an actor that a principal touches does not exist: brings it about where the domain allows it (a
/// task that is only a row yet). Calls back once, on any thread, with whether it exists now.
using materializer = std::function<void(const key&, const std::string& principal, std::function<void(bool)>)>;

/// What people looked at: called for reads of an actor's history and tables. Any thread; returns at once.
using look_auditor = std::function<void(const std::string& principal, const key&, std::string_view what)>;

/// Where the daemon inside a sandbox answers.
struct sandbox_daemon {
  wire::endpoint at;
  std::string token;                     ///< bearer; empty: none is asked for
  std::string workspace = "/workspace";  ///< as the sandbox's own processes see it
};
/// By the handle that the sandbox's snapshot has; nothing when it is gone. Any thread, never waits.
using find_sandbox = std::function<std::optional<sandbox_daemon>(const std::string& handle)>;

struct gateway_options {
  std::string version = "0.0.0";
  /// Host names that the server answers to, beside addresses and localhost.
  std::vector<std::string> hosts = {};
  /// Origins of other sites whose pages may use the API: "https://example.org".
  std::vector<std::string> allow_origins = {};
  /// A token that opens /metrics and nothing else; empty: none.
  std::string metrics_token = {};
  /// Cookies get `Secure` always, and not only where a request came over TLS or a trusted proxy says so.
  bool secure_cookies = false;
  /// Proxies of which X-Forwarded-For, -Proto and -Host are believed.
  std::vector<network> trusted_proxies = {};
  gateway_limits limits = {};
  secret_store* secrets = nullptr;  ///< borrowed; null: the routes answer 404
  /// Files of the data folder that a backup takes along, beside the actors'.
  std::vector<std::string> backup_also = {};
  materializer materialize = {};
  look_auditor audit_look = {};
  find_sandbox sandboxes = {};  ///< absent: there are none to look into
  /// Faults of ours. Any thread.
  std::function<void(std::string_view area, std::string_view text)> log = {};
};

/// Thread-safe. The executor, host and authenticator outlive it. stop() must complete before it is destroyed.
class gateway {
 public:
  gateway(wire::executor ex, host& h, authenticator& people, gateway_options options);
  ~gateway();
  gateway(const gateway&) = delete;
  gateway& operator=(const gateway&) = delete;

  /// As wire::server::listen: with `proof` it speaks TLS there.
  wire::result<wire::bound_address> listen(const std::string& address, std::uint16_t port,
                                           std::shared_ptr<wire::certificate> proof = {});

  /// Method and pattern of everything that is answered here.
  const std::vector<std::pair<std::string, std::string>>& routes() const;

  /// Closes WebSockets with 1001, lets requests in flight finish, drops every subscription.
  wire::asio::awaitable<void> stop(std::chrono::milliseconds limit = std::chrono::seconds(5));

 private:
  class impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::gateway
