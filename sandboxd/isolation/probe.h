// What this machine can enforce, found by doing it: a throw-away sandbox looks at itself from inside.
//
// Blocking, about 40 ms; forks, so call it before there are threads. Leaves nothing behind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "sandboxd/isolation/spec.h"

namespace troupe::sandboxd {

struct probe {
  std::string name;  // "user_namespaces", "memory_limit", …
  bool ok = false;
  int error_number = 0;     // errno of what failed; 0 where there was none
  std::string detail;       // what was found, or what failed
  std::string consequence;  // of its failing
  std::string remedy;
};

// How far one requirement can be promised here: "enforced", "best_effort" or "absent".
struct item {
  std::string
      name;  // private_files, memory, cpu, pids, disk, pause, network_none, network_proxy, network_open
  std::string state;
  std::string by;     // what does it
  std::string probe;  // which probe decides
};

struct probe_report {
  tier chosen = tier::none;
  std::vector<probe> probes;
  std::vector<item> items;
};

// `uid`: of the throw-away sandbox, when run by root.
probe_report probe_machine(std::uint32_t uid);

// Written by probe_machine's sandbox on its standard output: what it is promised, and whether it holds.
// `canary`: a file of the host that must not be there.
nlohmann::json look_from_inside(const std::string& canary);

nlohmann::json to_json(const probe_report& report);
std::string to_table(const probe_report& report);

}  // namespace troupe::sandboxd
