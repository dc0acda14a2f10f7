// The HTTP API of the daemon inside a sandbox, for the drivers: finds the daemon of a handle, sends, and
// turns what comes back into a value or a problem of docs/effects.md.
//
// Shared by all drivers. Every method may be called from any executor and completes on the caller's. The wire
// client it was given outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "drivers/daemon/failed.h"
#include "net/wire/client.h"

namespace troupe::drivers {

// Where the daemon of a sandbox answers.
struct daemon_address {
  wire::endpoint at;
  std::string token;                     // bearer; empty: none is asked for
  std::string workspace = "/workspace";  // as the sandbox's own processes see it
  std::string mirror = "/mirror";        // likewise: the repository's mirror, read-only
};

// Given by whoever knows the providers. Any thread; must not block. Nothing: no provider knows the handle, or
// its sandbox is gone.
using find_daemon = std::function<std::optional<daemon_address>(const std::string& handle)>;

// The value of a secret of an organization. Any thread; must not block for long.
using read_secret = std::function<std::optional<std::string>(std::string_view org, std::string_view name)>;

inline constexpr std::size_t max_put_bytes = 1u << 20;

struct process_request {
  std::string command;
  std::vector<std::string> args;
  std::string cwd;
  std::vector<std::pair<std::string, std::string>> environment;  // added to the sandbox's own
  std::size_t max_output_bytes = 256u << 10;                     // of each stream
};

struct process_result {
  std::optional<int> exit_code;  // nothing: ended by a signal
  bool timed_out = false;
  std::string output;
  std::string error;
};

class daemon_client {
 public:
  daemon_client(wire::client& http, find_daemon find) : http_(http), find_(std::move(find)) {}

  // Nothing: the sandbox is gone.
  std::optional<daemon_address> address(const std::string& handle) const { return find_(handle); }

  // Actors say /workspace. What its processes see there: the same, unless the sandbox isolates nothing.
  std::string where(const std::string& handle, const std::string& path) const;

  // Sends `what`; `about` says for errors what this was ("starting agent scripted"). Statuses over 299 are
  // failures.
  wire::asio::awaitable<attempt<wire::response>> send(std::string handle, std::string about,
                                                      wire::request what, wire::time_point deadline);
  wire::asio::awaitable<attempt<wire::response_stream>> open_stream(std::string handle, std::string about,
                                                                    wire::request what,
                                                                    wire::time_point deadline);

  // Runs a process to its end. The same key again gives the first outcome and runs nothing.
  wire::asio::awaitable<attempt<process_result>> run(std::string handle, std::string about,
                                                     process_request what, std::string idempotency_key,
                                                     wire::time_point deadline);

  // Pieces of a file in order, at most `limit` bytes; true: the file is longer.
  wire::asio::awaitable<attempt<bool>> read_file(std::string handle, std::string path, std::uint64_t limit,
                                                 std::function<void(std::string_view)> sink,
                                                 wire::time_point deadline);
  // Replaces the file. At most max_put_bytes: the published daemon takes no larger body.
  wire::asio::awaitable<attempt<bool>> write_file(std::string handle, std::string path, std::string bytes,
                                                  wire::time_point deadline);

 private:
  attempt<wire::endpoint> prepare(const std::string& handle, const std::string& about,
                                  wire::request& what) const;

  wire::client& http_;
  const find_daemon find_;
};

// What a daemon's error answer means (docs/effects.md); `about` goes in front of its words.
failed from_answer(const std::string& about, int status, std::string_view body);

}  // namespace troupe::drivers
