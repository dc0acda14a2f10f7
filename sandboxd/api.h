// The daemon's HTTP API over one place: what `serve` offers on TCP and `supervise` on a unix socket.
//
// The contract is that of the published `sandbox-agent`; docs/sandboxd.md says what is added. Not here:
// listening, who may connect to a unix socket at all, and where processes run.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/wire/server.h"
#include "sandboxd/agents.h"
#include "sandboxd/connection.h"
#include "sandboxd/once.h"
#include "sandboxd/place.h"
#include "sandboxd/server_limits.h"

namespace troupe::sandboxd {

// Who may call. Unknown routes and `/` answer without. Several ways may be open at once.
struct access_rules {
  bool everybody = false;            // no authentication
  std::optional<std::string> token;  // `Authorization: Bearer …`, compared in constant time
  std::vector<std::uint32_t> uids;   // peers of a unix socket, as the kernel names them
};

struct api_options {
  access_rules access;
  cors_options cors;
  connection_options connections;
  std::vector<agent> agents = known_agents("");
  std::vector<std::string> tools;  // folders of the place with npm packages
  std::uint64_t max_upload_bytes = 16ull << 30;
};

// Bodies of JSON, as published; messages to agents and files have their own limits.
constexpr std::size_t max_json_body_bytes = 2 << 20;

// Exited processes beyond this are forgotten, the oldest first.
constexpr std::size_t max_exited_processes = 1024;

constexpr std::size_t max_connections_of_agents = 256;

class api {
 public:
  // `state`: a folder of the daemon alone (made with mode 0700), never visible inside the place. It continues
  // with what an earlier daemon left in it. `ex` must be run by one thread; `where` outlives the api.
  static outcome<std::unique_ptr<api>> make(wire::executor ex, place& where, std::string state,
                                            api_options options);
  ~api();

  wire::service service();

  // Ends all agents and processes. Afterwards nothing of the api runs.
  wire::asio::awaitable<void> stop();

 private:
  struct parts;
  explicit api(std::shared_ptr<parts> p);
  std::shared_ptr<parts> parts_;
};

}  // namespace troupe::sandboxd
