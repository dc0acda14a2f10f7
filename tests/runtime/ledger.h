// Two small kinds for the tests of the runtime: a teller that makes accounts, and accounts that pay each
// other.
#pragma once

#include "runtime/kind.h"

namespace troupe::testing {

/// `bank/ID`, made by the host; makes `bank/ID/account/ID`.
const kind& bank_kind();
const kind& account_kind();

}  // namespace troupe::testing
