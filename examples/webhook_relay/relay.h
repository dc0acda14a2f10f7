// One kind and the driver that works for it: a relay that takes webhooks in and delivers each until it was
// taken or given up.
#pragma once

#include <memory>

#include "runtime/effect.h"
#include "runtime/kind.h"

namespace relay {

/// `relay/ID`. Commands: relay.open (the program), relay.deliver (clients). What was accepted is tried again
/// after failures and restarts; deliveries to one URL go one after the other, in order. Its snapshot says how
/// each stands.
const troupe::kind& relay();

/// Posts bodies by HTTP. What may pass (no answer, 429, 5xx) is tried again with growing pauses, five times
/// in all; anything else is final. The `Idempotency-Key` is the same in all attempts. Its threads end with
/// the last copy of the effect.
troupe::effect_kind webhook();

}  // namespace relay
