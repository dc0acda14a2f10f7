// What the gateway asks of the domain without knowing it: tasks that are rows only, and who looked at what.
#pragma once

#include "net/gateway/gateway.h"
#include "net/wire/asio.h"
#include "runtime/host.h"

namespace troupe::cli {

/// Asks the organization to make the actor of a task that is only a row yet, and waits until it is there, at
/// most as long as the gateway does. The host outlives it.
gateway::materializer make_materializer(wire::executor, host&);

/// Writes each look at an actor's history or tables to the audit log of its organization.
gateway::look_auditor make_look_auditor(host&);

}  // namespace troupe::cli
