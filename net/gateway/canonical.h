// JSON in its one canonical form (RFC 8785), and the hash by which a client checks what it pieced together.
// Private to this folder.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace troupe::gateway {

// Integers beyond 2^53 keep their digits; the domain has none.
std::string canonical(const nlohmann::json&);

// The first 16 bytes of SHA-256 over the canonical form, in hex.
std::string content_hash(const nlohmann::json&);

}  // namespace troupe::gateway
