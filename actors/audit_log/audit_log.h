// The actor `audit-log`: one append-only record per organization, chained by hash. Made by its organization;
// takes entries from any actor of it.
#pragma once

#include <cstddef>

#include "runtime/kind.h"

namespace troupe::actors {

const kind& audit_log();

namespace audit_limits {
/// A longer payload is replaced by a note of its size.
inline constexpr std::size_t payload_bytes = 16 * 1024;
inline constexpr int snapshot_entries = 50;
/// Entries of one page of audit.verify.
inline constexpr int verify_page = 500;
}  // namespace audit_limits

}  // namespace troupe::actors
