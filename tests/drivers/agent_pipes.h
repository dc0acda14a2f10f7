// An agent program at the other end of two pipes, for tests. One thread; every wait has a deadline and fails
// the test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::test {

// A folder of its own, removed with the object.
class scratch_folder {
 public:
  scratch_folder();
  ~scratch_folder();
  scratch_folder(const scratch_folder&) = delete;
  scratch_folder& operator=(const scratch_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string str() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

class agent_pipes {
 public:
  using json = nlohmann::json;
  explicit agent_pipes(const std::vector<std::string>& argv);
  ~agent_pipes();
  agent_pipes(const agent_pipes&) = delete;
  agent_pipes& operator=(const agent_pipes&) = delete;

  void send(const json& message);
  void send_line(const std::string& line);
  json next();  // the next line as JSON; {"not_json": …} for another one; {"end": true} at its end
  // Sends the request and reads to its answer; what came before the answer goes to `seen` and to
  // `on_message`.
  json call(const std::string& method, json params, const std::function<void(const json&)>& on_message = {});
  json wait_for(const std::function<bool(const json&)>& wanted);
  void close_stdin();
  int wait_exit();  // exit code, or 128 + signal
  pid_t pid() const { return pid_; }

  std::vector<json> seen;  // every message that came, in order

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int next_id_ = 0;
  std::string buffer_;
};

bool process_lives(pid_t pid);
// Until it holds, at most 10 s. False: it never did.
bool eventually(const std::function<bool()>& holds);

}  // namespace troupe::test
