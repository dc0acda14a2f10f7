// This terminal as a window onto one in a sandbox: keys go there as they are pressed, what it shows comes
// here.
//
// One per process; one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/place_of_server.h"

namespace troupe::cli {

/// Ctrl-] and d leave; Ctrl-] twice is one Ctrl-]; before any other key it is a key like others.
class leaving_keys {
 public:
  /// What of `typed` goes on to the sandbox. Once left() nothing does.
  std::string pass(std::string_view typed);
  bool left() const { return left_; }

 private:
  bool pending_ = false;
  bool left_ = false;
};

struct terminal_end {
  enum class kind { exited, left, refused } how = kind::left;
  std::optional<int> code;  ///< exited, and not by a signal
  std::string why;          ///< refused: in words
};

/// Shows the terminal at `target` (a path of the server) until its process ends or the person leaves it, and
/// gives this one back as it was. A lost connection is made again for a minute; the last screenful is shown
/// anew then. Throws failure when standard input or output is no terminal, or no server answers.
terminal_end show_terminal(const place_of_server& place, const std::string& target);

}  // namespace troupe::cli
