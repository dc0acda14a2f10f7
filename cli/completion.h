// What may stand at the end of a command line that is being typed: read from the tree of commands itself, so
// that nothing has to be kept in step with it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace troupe::cli {

struct candidate {
  std::string word;
  std::string what;  ///< in a few words; may be empty
};

/// Candidates for the last of `words`, which follow the program's name and may be empty. `names_of` gives
/// what a server knows for a placeholder as help shows it (TASK, REPOSITORY, …). Empty: nothing but a file
/// can follow.
std::vector<candidate> complete(
    const CLI::App& program, const std::vector<std::string>& words,
    const std::function<std::vector<candidate>(const std::string& placeholder)>& names_of);

}  // namespace troupe::cli
