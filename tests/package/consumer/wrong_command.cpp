// Does not compile: what a handler answers is an `answer`.
#include "runtime/kind.h"

using namespace troupe;

void add(turn&, const json&) {}

const kind counter{.name = "counter",
                   .commands = {{"counter.add", from::client("member"), lane::interactive, add}}};
