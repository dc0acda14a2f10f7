// What makes an audit entry of a command whose row has an audit kind, and the word for entries that handlers
// add.
#pragma once

#include "runtime/host.h"

namespace troupe::actors {

/// For host_options.audit. In an organization the entry goes to its audit log through the outbox; `access`
/// and `capacity` keep theirs in their own stream `audit`. Stateless; any thread.
auditor make_auditor();

/// A body or result as an entry may hold it: environments as names, hashes gone, long texts, lists and deep
/// objects cut.
json audit_payload(const json& body);

}  // namespace troupe::actors
