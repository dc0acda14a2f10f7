// What a server in front of an api has to allow.
#pragma once

#include "net/wire/server.h"

namespace troupe::sandboxd {

// Header fields carry an agent's environment; bodies are those of JSON.
wire::server_options server_options_for_api();

}  // namespace troupe::sandboxd
