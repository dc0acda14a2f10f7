// A task in words: its status, the steps of making it ready, its changes.
#pragma once

#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace troupe::cli {

std::string task_status(const terminal&, const std::string& status);
/// "3 files  +12 −4", or nothing when there is no change.
std::string diff_numbers(const terminal&, const nlohmann::json& diff);

/// Prints each step of making a task ready once, when it is over, with its time; and each change of status.
class provisioning_view {
 public:
  explicit provisioning_view(terminal& out) : out_(out) {}

  /// Takes the next snapshot of the task. True when something was printed.
  bool show(const nlohmann::json& snapshot);

 private:
  terminal& out_;
  nlohmann::json position_;  // in the queue, as it was shown
  std::string error_;
  std::string failed_;                        // the detail of the step that failed last
  std::map<std::string, std::string> steps_;  // name → state that was printed
};

}  // namespace troupe::cli
