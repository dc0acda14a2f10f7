// What becomes of requirements on a machine with given probes: honoured, weakened where that was allowed, or
// refused.
#pragma once

#include <map>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "drivers/sandbox/local_provider.h"

namespace troupe::drivers {

struct effective_limits {
  std::uint64_t memory_mb = 0;
  double cpu = 0;
  std::uint64_t pids = 0;
  std::uint64_t disk_mb = 0;
};

struct settled {
  std::map<std::string, item_state> items;
  effective_limits limits;
};

// `probes`: the answer of `sandboxd probe --json`. A stated requirement that is outside of the limits is
// refused; one that is best effort is brought inside and reported so. What is not stated gets the default,
// enforced where the machine can.
attempt<settled> settle(const sandbox_requirements& wanted, const local_limits& limits,
                        const nlohmann::json& probes, bool no_isolation);

}  // namespace troupe::drivers
