// What makes places for agents and keeps them alive. Start here: local_provider.h is the one that needs
// nothing.
//
// Every call is idempotent: the same again finds its work done. A handle is "provider:opaque"; it is known
// before the world is touched (handle_of), so that what a crash leaves behind has a name. Failures are
// problems of docs/effects.md: not_found, unsupported (names the requirement, the probe, its errno, the
// remedy), quota, timeout, transport (again), broken (destroy and make anew).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "drivers/daemon/daemon_client.h"
#include "drivers/daemon/failed.h"
#include "drivers/sandbox/egress_rule.h"
#include "net/wire/asio.h"

namespace troupe::drivers {

struct egress_record;  // network_door.h

template <class T>
struct requirement {
  T value{};
  bool best_effort = false;  // else it is enforced as stated, or making the sandbox fails
};

// Absent: the provider's own default, enforced where the machine can.
struct sandbox_requirements {
  requirement<egress_rule> network;
  std::optional<requirement<std::uint64_t>> memory_mb;
  std::optional<requirement<double>> cpu;
  std::optional<requirement<std::uint64_t>> pids;
  std::optional<requirement<std::uint64_t>> disk_mb;
  std::optional<requirement<bool>> private_files;
  std::optional<requirement<bool>> pause;
};

struct sandbox_mount {
  std::string source;  // "mirror:NAME"
  std::string target;
  bool read_only = true;
};

struct sandbox_request {
  std::string sandbox;  // the actor's key
  std::string nonce;    // of this life of it
  std::uint32_t uid = 0;
  sandbox_requirements requirements;
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<sandbox_mount> mounts;
  std::vector<std::pair<std::uint16_t, host_port>> forwards;  // inside 127.0.0.1:first → second
  bool unsafe_no_isolation = false;
};

struct item_state {
  std::string state;  // enforced, best_effort, absent
  std::string wanted, effective;
  std::string why;
};

struct sandbox_made {
  std::string handle;
  std::string tier;
  std::map<std::string, item_state> items;
  std::string workspace;
  std::vector<std::pair<std::string, std::int64_t>> steps;  // name, ms
  bool adopted = false;                                     // it lived already
};

struct sandbox_look {
  std::string state;  // running, paused, stopped, lost
  std::string why;
  std::uint64_t memory_mb = 0;
  std::uint64_t pids = 0;
  std::uint64_t out_of_memory = 0;  // processes that the kernel ended at the memory limit
};

struct sandbox_paused {
  std::string state;  // paused, running
  std::string how;    // cgroup, signal
};

// Thread-safe. Calls for one sandbox take turns; calls for different ones do not wait for each other.
class provider {
 public:
  template <class T>
  using later = wire::asio::awaitable<attempt<T>>;

  virtual ~provider() = default;

  virtual std::string handle_of(const std::string& sandbox, const std::string& nonce) const = 0;
  // Makes it, adopts what lives, or starts what was stopped, with its files.
  virtual later<sandbox_made> create(sandbox_request what) = 0;
  virtual later<sandbox_paused> pause(std::string handle) = 0;
  virtual later<sandbox_paused> resume(std::string handle) = 0;
  // No process is left; files stay.
  virtual later<bool> kill(std::string handle) = 0;
  // Nothing is left. The value: something was there.
  virtual later<bool> destroy(std::string handle) = 0;
  // not_found when nothing of it is there.
  virtual later<sandbox_look> inspect(std::string handle) = 0;
  // Where its daemon answers. Any thread, never waits.
  virtual std::optional<daemon_address> find(const std::string& handle) const = 0;
  // What went out through its proxy since the number `after`; each with its own number.
  virtual std::vector<std::pair<std::uint64_t, egress_record>> egress(const std::string& handle,
                                                                      std::uint64_t after) const = 0;
};

failed unsupported(std::string detail);
failed broken(std::string detail);

}  // namespace troupe::drivers
