// A task followed in a terminal: its steps, its sessions' transcripts, its permission requests.
#pragma once

#include <string>

#include "cli/context.h"
#include "cli/follow.h"

namespace troupe::cli {

struct watch_options {
  follower::permissions how = follower::permissions::ask;
  /// Ends when a turn has ended and nothing waits; otherwise only the user ends it.
  bool until_idle = false;
  std::chrono::seconds limit = std::chrono::hours(24 * 365);
};

/// The task's last snapshot. Throws failure when the task ends in an error, or `limit` passes.
json watch_task(context&, const std::string& key, const watch_options&);

/// Waits until an operation of a task (refresh_diff, commit) is over: its row. Throws failure with its error.
json await_operation(context&, const std::string& key, const std::string& operation);

/// The unified text of everything that task.diff answered, in the order of its files.
std::string diff_text(const json& result);

}  // namespace troupe::cli
