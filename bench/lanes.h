// Whether people wait for an actor's background work.
#pragma once

#include <filesystem>

namespace troupe::bench {

/// Prints its rows: interactive commands to an idle actor, and to one with 100,000 background commands
/// queued.
void lanes(const std::filesystem::path& parent);

}  // namespace troupe::bench
