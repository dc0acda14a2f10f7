// The handlers behind the table in capacity.cpp, by theme.
#pragma once

#include "runtime/turn.h"

namespace troupe::actors::capacity_actor {

// limits.cpp
answer initialize(turn&, const json&);
answer set_limits(turn&, const json&);
answer set_share(turn&, const json&);

// slots.cpp
answer request(turn&, const json&);
answer release(turn&, const json&);
answer renew(turn&, const json&);
answer expire(turn&, const json&);
answer apply_answer(turn&, const json&);
/// Grants what the limits allow now, and tells who waits where it stands.
void grant(turn&);

// disk.cpp
answer report_disk(turn&, const json&);
/// What an organization is told, or nothing before the first report.
std::optional<json> disk_of(const view&);

// snapshot.cpp
json snapshot(const view&);

}  // namespace troupe::actors::capacity_actor
