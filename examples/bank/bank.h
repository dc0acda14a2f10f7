// Two kinds of actors: a bank, which opens accounts and knows every balance, and accounts, which pay each
// other.
#pragma once

#include "runtime/kind.h"

namespace bank {

/// `bank/ID`. Commands: bank.found (the program), bank.open_account (clients).
const troupe::kind& bank();
/// `bank/ID/account/ID`. Command: account.pay (clients). Coins leave the payer in the turn that sends them,
/// and come back when the payee cannot take them: at rest no coin is lost or made.
const troupe::kind& account();

}  // namespace bank
