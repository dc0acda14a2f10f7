// The version of the other build that servers are upgraded to in tests.
#include "cli/version.h"

namespace troupe::cli {

const char* const version = "0.1.0-other";

}  // namespace troupe::cli
