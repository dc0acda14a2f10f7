// A folder with very many sleeping actors: what it costs to have them.
#pragma once

#include <filesystem>

namespace troupe::bench {

/// Prints its rows. 1,000 actors are real; the files of the others are links to one of them and are never
/// opened.
void crowd(const std::filesystem::path& parent, int actors);

}  // namespace troupe::bench
