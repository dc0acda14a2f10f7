#include "cli/version.h"

namespace troupe::cli {

const char* const version = TROUPE_VERSION;

}  // namespace troupe::cli
