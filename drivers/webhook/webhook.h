// Webhooks: the effect webhook.post of docs/effects.md, which tells a URL of an organization what happened.
#pragma once

#include "drivers/daemon/daemon_client.h"
#include "net/wire/client.h"
#include "runtime/effect.h"

namespace troupe::drivers::webhook {

struct options {
  // Addresses that are not public, and plain http. Otherwise whoever administers an organization could have
  // the server speak to what only the server reaches.
  bool allow_private = false;
  std::chrono::milliseconds answer_limit = std::chrono::seconds(15);
};

// The value of the header Troupe-Signature: "t=SECONDS,v1=HEX", where HEX is HMAC-SHA-256 with the secret
// over "SECONDS.BODY".
std::string signature(std::string_view secret, std::int64_t seconds, std::string_view body);

// Registered with the host. `http` outlives it.
std::vector<effect_kind> effects(wire::executor ex, wire::client& http, read_secret secrets,
                                 options with = {});

}  // namespace troupe::drivers::webhook
