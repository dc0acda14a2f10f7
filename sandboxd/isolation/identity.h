// Naming a process so that it is never confused with a later one of the same number.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "sandboxd/descriptor.h"

namespace troupe::sandboxd {

// A pid, when it started (clock ticks since boot, field 22 of /proc/PID/stat) and which boot that was.
struct process_identity {
  pid_t pid = 0;
  std::uint64_t started = 0;
  std::string boot;

  bool operator==(const process_identity&) const = default;
};

std::string boot_id();  // empty where /proc does not say

// Nothing when there is no such process.
std::optional<process_identity> identify(pid_t pid);

// A pidfd of exactly that process; nothing when it is gone, another boot's, or a zombie.
std::optional<descriptor> hold(const process_identity& who);

// Sends SIGKILL to it if it is still that process, and waits until it is gone. False after `limit`.
bool kill_and_wait(const process_identity& who, std::chrono::milliseconds limit);

}  // namespace troupe::sandboxd
