// The handlers behind the table in audit_log.cpp.
#pragma once

#include "runtime/turn.h"

namespace troupe::actors::audit_actor {

answer initialize(turn&, const json&);
answer append(turn&, const json&);

// queries.cpp
answer list(const view&, const json&);
answer verify(const view&, const json&);
json snapshot(const view&);

/// The newest entry: its number and hash; 0 and the start of the chain for an empty log.
struct head {
  std::uint64_t seq = 0;
  std::string hash;
};
head head_of(const view&);

}  // namespace troupe::actors::audit_actor
