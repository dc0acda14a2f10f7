#include "actors/audit_log/chain.h"

#include <nlohmann/json.hpp>

#include "actors/sha256.h"

namespace troupe::actors {

std::string_view chain_start() {
  return "0000000000000000000000000000000000000000000000000000000000000000";
}

std::string chain_hash(const nlohmann::json& entry) {
  auto without = entry;
  without.erase("hash");
  return sha256_hex(without.dump());
}

chain_check::chain_check() : hash_(chain_start()) {}

std::optional<std::string> chain_check::next(const nlohmann::json& entry) {
  if (!entry.is_object()) return "it is no entry";
  const auto number = entry.value("seq", std::uint64_t{0});
  if (number != seq_ + 1) {
    return "entry " + std::to_string(number) + " stands where entry " + std::to_string(seq_ + 1) +
           " belongs: entries were removed or moved";
  }
  if (entry.value("previous", std::string()) != hash_) {
    return "entry " + std::to_string(number) + " does not hold the hash of the entry before it";
  }
  if (entry.value("hash", std::string()) != chain_hash(entry)) {
    return "entry " + std::to_string(number) + " was altered: its content does not give its hash";
  }
  seq_ = number;
  hash_ = entry["hash"].get<std::string>();
  return std::nullopt;
}

}  // namespace troupe::actors
