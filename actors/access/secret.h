// Tokens, cookies and the words of sign-in links: who makes one keeps it; the access actor gets its hash
// alone.
#pragma once

#include <string>
#include <string_view>

namespace troupe::actors {

/// 32 random bytes as `<prefix>_` and 64 hex digits, e.g. "trp_…". Any thread.
std::string make_secret(std::string_view prefix);

/// What commands and rows hold of a secret: its SHA-256 in hex. A random secret of 256 bits needs no salt.
std::string hash_of_secret(std::string_view secret);

/// The id of a token or session, which says nothing about the secret: the first 16 digits of its hash.
std::string id_of_hash(std::string_view hash);

}  // namespace troupe::actors
