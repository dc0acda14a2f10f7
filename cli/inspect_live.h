// Views of a running server that go on until they are interrupted.
#pragma once

#include <string>

namespace troupe::cli {

struct context;

struct tail_filter {
  std::string prefix, kind;
  /// Only turns that took at least so many milliseconds.
  double slow_ms = 0;
};

/// Turns as they are committed.
void follow_turns(context&, const tail_filter&);
/// The busiest actors, drawn anew each `seconds`; `times` 0 goes on.
void watch_busiest(context&, const std::string& prefix, double seconds, int times);

}  // namespace troupe::cli
