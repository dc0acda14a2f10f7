// Does not compile: a query cannot have what a command has.
#include "runtime/kind.h"

using namespace troupe;

answer history(turn&, const json&) {
  return done();
}

const kind counter{.name = "counter", .queries = {{"counter.history", "viewer", history}}};
