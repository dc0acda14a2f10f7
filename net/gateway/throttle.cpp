#include "net/gateway/throttle.h"

#include <algorithm>

#include "net/gateway/network.h"

namespace troupe::gateway {

std::optional<std::chrono::seconds> throttle::wait(const std::string& address, wire::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(address);
  if (found == known_.end()) return std::nullopt;
  // One more mistake must still fit.
  const auto free_at = found->second->forgiven - (at_once - 1) * then_every;
  if (free_at <= now) return std::nullopt;
  return std::chrono::ceil<std::chrono::seconds>(free_at - now);
}

void throttle::wrong(const std::string& address, wire::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(address);
  if (found != known_.end()) {
    by_time_.splice(by_time_.begin(), by_time_, found->second);
  } else {
    by_time_.push_front({address, now});
    known_[address] = by_time_.begin();
  }
  auto& forgiven = by_time_.front().forgiven;
  forgiven = std::max(forgiven, now) + then_every;
  if (known_.size() > addresses) {
    known_.erase(by_time_.back().address);
    by_time_.pop_back();
  }
}

std::size_t throttle::size() const {
  const std::lock_guard lock(mutex_);
  return known_.size();
}

std::string throttle::counted_as(std::string_view peer_address) {
  auto address = ip_address::parse(peer_address);
  if (!address) return {};
  if (!address->v4) std::fill(address->bytes.begin() + 8, address->bytes.end(), 0);
  return address->str();
}

}  // namespace troupe::gateway
