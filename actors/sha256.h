// SHA-256 as the domain uses it: hashes of secrets and the chain of the audit log.
#pragma once

#include <string>
#include <string_view>

namespace troupe::actors {

/// 64 lower-case hex digits. Any thread.
std::string sha256_hex(std::string_view bytes);

}  // namespace troupe::actors
