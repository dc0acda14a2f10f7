// Runs one of the scripts of scripts.h in a sandbox and reads its answer.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "drivers/git/workspace.h"

namespace troupe::drivers::git {

// The `name=value` lines of a script's output. A name that is missing is empty.
class script_answer {
 public:
  explicit script_answer(const std::string& output);
  std::string text(const std::string& name) const;
  // A commit id or nothing: whatever else an agent made git say is dropped.
  std::string commit(const std::string& name) const;
  std::int64_t number(const std::string& name) const;

 private:
  std::map<std::string, std::string> values_;
};

struct script {
  std::string_view text;
  std::vector<std::string> arguments;
  std::string about;  // "checking out branch x"
  std::string key;    // idempotency; empty for scripts that may run twice
};

wire::asio::awaitable<attempt<script_answer>> run_script(environment_ptr world, std::string handle,
                                                         script what, wire::time_point deadline);

// Removes the folder that a script left, whatever came of it; a failure to do so is the sandbox's to keep.
wire::asio::awaitable<void> clean_up(environment_ptr world, std::string handle, std::string workspace,
                                     std::string folder);

bool is_commit_id(std::string_view text);

}  // namespace troupe::drivers::git
