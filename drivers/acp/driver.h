// Agents, for the session actor: the effects agent.* and the feed agent.updates of docs/effects.md, over the
// HTTP API of the daemon in the sandbox.
//
// Every call that causes something carries the effect's id as its idempotency key, so that a second attempt,
// also one after a restart of the server, finds the first one's outcome. Closing a call never cancels what
// the agent does. Nothing here remembers anything: the actor has the rows, the daemon has the agent and its
// spool.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "drivers/daemon/daemon_client.h"
#include "drivers/daemon/redaction.h"
#include "runtime/effect.h"

namespace troupe::drivers::acp {

struct options {
  std::chrono::milliseconds initialize_limit =
      std::chrono::seconds(60);                                     // an agent that says nothing for so long
  std::chrono::milliseconds start_limit = std::chrono::minutes(5);  // of agent.start as a whole; installs too
  std::chrono::milliseconds prompt_limit = std::chrono::hours(24);  // when the session names none
  std::chrono::milliseconds call_limit = std::chrono::seconds(60);  // of the short effects
  std::chrono::milliseconds appear_limit =
      std::chrono::minutes(5);  // a feed waits for its connection to begin
};

// Registered with the host. The kinds share what they need; `daemons` outlives the host.
std::vector<effect_kind> effects(wire::executor ex, daemon_client& daemons, read_secret secrets,
                                 options limits = {});
// `secrets`, where given: what an agent says in pieces goes through it as one text.
std::vector<feed_kind> feeds(wire::executor ex, daemon_client& daemons, options limits = {},
                             find_redaction secrets = {});

}  // namespace troupe::drivers::acp
