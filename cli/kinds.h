// The kinds of actors that a server of Troupe has.
#pragma once

#include <string>
#include <vector>

#include "runtime/kind.h"

namespace troupe::cli {

const std::vector<const kind*>& kinds_of_troupe();
std::vector<std::string> names_of_kinds();

/// What of a data folder belongs into a backup, beside the actors and what lies in their folders: sealed
/// secrets. Their key is kept elsewhere.
std::vector<std::string> backed_up_beside_actors();

}  // namespace troupe::cli
