// Sandboxes on this machine, made by `sandboxd supervise`. The server is the parent of none of them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "drivers/sandbox/provider.h"

namespace troupe::drivers {

struct local_limits {
  std::uint64_t memory_mb_least = 1024, memory_mb_most = 8192, memory_mb_default = 4096;
  double cpu_least = 1, cpu_most = 4, cpu_default = 2;
  std::uint64_t disk_mb_least = 1024, disk_mb_most = 10240, disk_mb_default = 10240;
  std::uint64_t pids_least = 64, pids_most = 4096, pids_default = 1024;
};

struct local_options {
  std::filesystem::path data;  // absolute
  std::filesystem::path
      sockets;           // empty: DATA/sockets; unix paths have 107 bytes, so a deep DATA needs another
  std::string sandboxd;  // the program
  std::vector<std::pair<std::string, std::string>> programs;  // host file → its name in /opt/troupe/bin
  std::filesystem::path tools;  // seen read-only as /opt/troupe/tools; left out when it is not there
  // Of every sandbox, whatever its rule says: inside 127.0.0.1:first → second.
  std::vector<std::pair<std::uint16_t, host_port>> forwards;
  std::uint32_t first_uid = 100'000, last_uid = 2'100'000'000;  // of sandboxes
  bool unsafe_no_isolation = false;                             // allows requests that say so too
  local_limits limits;
  std::size_t egress_kept = 1024;  // lines of the ledger per sandbox, the newest
  std::function<void(std::string_view area, std::string_view text)> log;
};

class local_provider : public provider {
 public:
  // Tries what this machine can enforce (blocking, about 50 ms). Fails when the program is missing or the
  // sockets' paths would be too long; a machine that isolates nothing is no failure here, but create() will
  // refuse.
  static attempt<std::shared_ptr<local_provider>> make(wire::executor ex, wire::client& http,
                                                       local_options options);

  // namespaces+uid, namespaces or none.
  virtual const std::string& tier() const = 0;
  // The answer of `sandboxd probe --json`, for doctor.
  virtual const nlohmann::json& probes() const = 0;
};

}  // namespace troupe::drivers
