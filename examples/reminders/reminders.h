// One kind: a list of reminders, each with a timer of its own that rings whether or not the program ran
// meanwhile.
#pragma once

#include "runtime/kind.h"

namespace reminders {

/// `list/ID`. Commands: list.open (the program), list.remind and list.forget (clients). Its snapshot says
/// what is due when and what has rung.
const troupe::kind& list();

}  // namespace reminders
