// What an actor says to its organization's audit log by itself: what no client's command stands for.
#pragma once

#include <string>
#include <string_view>

#include "runtime/turn.h"

namespace troupe::actors {

/// What the entry is about; empty fields are left out.
struct audit_subject {
  std::string repository;
  std::string task;
  std::string branch;
  std::string session;
};

/// Sends audit.append with this turn's time and principal. `payload` has no secrets and stays under 4 KiB.
void append_audit(turn&, std::string_view kind, const audit_subject&, json payload);

/// The task and session that the actor's own key names.
audit_subject subject_of(const key& self);

}  // namespace troupe::actors
