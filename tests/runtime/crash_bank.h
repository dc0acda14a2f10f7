// A small bank for the tests of crashes: accounts send each other money over several hops, ask for effects,
// keep a timer and a journal. Whatever happens to the process, nothing may be lost, doubled or reordered.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "runtime/host.h"

namespace crash_bank {

inline constexpr int accounts = 4;
inline constexpr std::int64_t opening_balance = 1000;

const troupe::kind& account();
/// An effect that succeeds at once.
troupe::effect_kind note();
troupe::key account_key(int number);

/// Which account the transfer with this command id goes to, and its body: both follow from the id alone, so
/// that anybody can send it again.
troupe::key sender_of(const std::string& id);
troupe::json body_of(const std::string& id);

/// Makes the accounts that are not there. False when one could not be made until the deadline.
bool open_all(troupe::host&, std::chrono::seconds deadline);

/// What was seen from outside.
struct model {
  std::set<std::string> tried;
  /// Result of each transfer that was answered: its number at the sender.
  std::map<std::string, std::int64_t> acknowledged;
  /// The most moves that a snapshot of each account showed.
  std::map<std::string, std::int64_t> seen;
};

/// Waits until no message and no effect is under way, for at most `deadline`; then checks every law against
/// the model.
void verify(troupe::host&, const model&, std::chrono::seconds deadline);

}  // namespace crash_bank
