// The chain of an audit log: each entry holds the hash of the one before, so that a removed, moved or altered
// entry shows. Works on entries as the stream `entries` and audit.list give them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace troupe::actors {

/// What the first entry holds as `previous`.
std::string_view chain_start();

/// SHA-256 in hex over the canonical text of an entry without its `hash` (members sorted, no blanks);
/// `previous` is in it.
std::string chain_hash(const nlohmann::json& entry);

/// Follows entries in the order of their numbers. One thread.
class chain_check {
 public:
  /// From the beginning, or after an entry that is known to be right.
  chain_check();
  chain_check(std::uint64_t seq, std::string hash) : seq_(seq), hash_(std::move(hash)) {}

  /// What is wrong with the next entry, in words; nothing when it follows. After a fault every later entry is
  /// at fault.
  std::optional<std::string> next(const nlohmann::json& entry);

  /// The last entry that followed.
  std::uint64_t seq() const { return seq_; }
  const std::string& hash() const { return hash_; }

 private:
  std::uint64_t seq_ = 0;
  std::string hash_;
};

}  // namespace troupe::actors
