// Finds what no row knows of the sandboxes of a data folder, and ends it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "drivers/daemon/failed.h"

namespace troupe::drivers {

/// Whether there ought to be this life of this sandbox (a key); of any life when that is empty. Asked after
/// the world was looked at, so that what is made meanwhile is known.
using is_known = std::function<bool(const std::string& sandbox, const std::string& life)>;

struct leftovers {
  /// {"what","where","sandbox"?,"life"?,"pid"?}; docs/sandboxd.md says what there is.
  nlohmann::json found = nlohmann::json::array();
  /// Those that could not be removed, each with a `text` that says why.
  nlohmann::json failed = nlohmann::json::array();
};

struct prune_options {
  std::string sandboxd;
  std::filesystem::path data;
  /// Also what stands outside of the data folder and is certainly nobody's, as killed tests leave it.
  bool whole_machine = false;
  bool dry_run = false;
};

/// Blocks for as long as it takes, a minute for each 2000 things at most.
attempt<leftovers> prune(const prune_options&, const is_known&);

}  // namespace troupe::drivers
