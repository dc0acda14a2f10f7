// A server with a few tasks whose agents work, and the model of what must be true of them whatever befalls
// it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cli/api.h"
#include "cli/watch_task.h"
#include "tests/cli/program.h"

namespace troupe::cli::testing {

class town {
 public:
  explicit town(int tasks);
  ~town();

  void start();
  /// kill -9 of the server.
  void kill();
  /// kill -9 of one sandbox's supervisor, picked at random; what runs inside dies with it.
  void lose_a_sandbox(std::mt19937_64&);
  /// kill -9 of the server and of every process of every sandbox, as a power cut ends them.
  void end_everything();
  /// SIGSTOP of one sandbox with its supervisor; thaw() lets it go on.
  void freeze_a_sandbox(std::mt19937_64&);
  void thaw();

  /// One prompt to one task; every third waits for a person. Its answer may be lost: settle() asks for it
  /// again.
  void prompt(int n, std::mt19937_64&);
  void answer_permissions();
  /// Until every prompt has been taken and every session is idle; what is in error is tried again, as a
  /// person would.
  void settle();

  /// Each prompt was begun exactly once and ended exactly once, its transcript has no gap and no repeat, and
  /// the work of what ended well is there. Only turns whose sandbox was lost may have ended otherwise.
  void verify();
  /// Deletes all, and finds nothing left of it on this machine.
  void clean_up();

 private:
  struct prompt_sent {
    std::string session;
    json body;
    std::string id;
  };
  /// A sandbox that runs: its supervisor, and that with all below it.
  struct place {
    pid_t supervisor;
    std::vector<pid_t> all;
  };

  api& server();
  bool attempt(const std::function<void()>&);
  void until(const char* what, const std::function<bool()>&);
  json insist(const std::string& key, const std::string& name, const json& body, const std::string& id);
  std::vector<place> places();
  /// Names of the prompts that ended well.
  std::set<std::string> verify_transcript(const std::string& session, const std::set<std::string>& names);

  scratch home_;
  std::unique_ptr<serving> server_;
  std::unique_ptr<api> api_;
  std::string repository_;
  std::vector<std::string> keys_;
  std::map<std::string, std::string> sessions_;
  std::map<std::string, std::set<std::string>> expected_;
  std::vector<prompt_sent> sent_;
  std::vector<pid_t> frozen_;
  /// Control groups that any of the sandboxes had.
  std::set<std::string> groups_;
  int losses_ = 0, retries_ = 0;
};

}  // namespace troupe::cli::testing
