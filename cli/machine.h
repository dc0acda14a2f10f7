// What this machine offers a server: checked by `troupe serve` before it starts and shown by `troupe doctor`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::cli {

struct check {
  std::string name;
  enum class outcome { good, weak, bad } result = outcome::good;
  std::string detail;       ///< what was found
  std::string consequence;  ///< what does not work without it; empty when good
  std::string remedy;
};

/// Descriptors that a server needs at the least: the gateway, the host's own files and some awake actors.
inline constexpr std::uint64_t least_descriptors = 1024;
/// Raises the soft limit to the hard one; the limit that holds then.
std::uint64_t raise_descriptors();

check check_descriptors();
/// Free space of the file system that `data` is or will be on.
check check_disk(const std::filesystem::path& data);
check check_program(const std::string& name, const std::string& consequence);

struct isolation {
  std::string tier;       ///< namespaces+uid, namespaces, landlock or none; empty when it could not be probed
  nlohmann::json report;  ///< as `sandboxd probe --json` prints it; null when it could not be probed
  std::string error;      ///< why not
  std::vector<check> checks() const;
};
/// Runs the probes of sandboxd, which make and end a throw-away sandbox.
isolation probe_isolation(const std::string& sandboxd = {});

nlohmann::json to_json(const check&);

}  // namespace troupe::cli
