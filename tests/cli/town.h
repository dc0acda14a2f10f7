// A server with a few tasks whose agents work, and the model of what must be true of them whatever befalls
// it.
#pragma once

#include <chrono>
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

/// The whole of a file; empty when it cannot be read.
std::string slurp(const std::filesystem::path& file);

struct town_plan {
  int tasks = 4;
  /// In each sandbox a process that prints and a shell at a terminal, which nothing may end.
  bool processes = false;
  /// The data folder on a file system of its own, which fill_disk() fills.
  bool small_disk = false;
};

class town {
 public:
  explicit town(town_plan);
  ~town();

  // What befalls it (town_disasters.cpp).

  /// kill -9 of the server, and another start.
  void kill_server();
  /// The server ends, cleanly or not, and a program of another version serves the same folder.
  void upgrade(std::mt19937_64&);
  /// kill -9 of one sandbox's supervisor, picked at random; what runs inside dies with it.
  void lose_a_sandbox(std::mt19937_64&);
  /// kill -9 of the server and of every process of every sandbox, as a power cut ends them; another start.
  void end_everything();
  /// SIGSTOP of one sandbox with its supervisor; thaw() lets it go on.
  void freeze_a_sandbox(std::mt19937_64&);
  void thaw();
  /// A prompt whose command takes more memory than its sandbox has.
  void exhaust_memory(std::mt19937_64&);
  /// Until nothing more can be written; empty_disk() makes room again.
  void fill_disk();
  void empty_disk();

  // What people do (town.cpp).

  /// One prompt to one task; every third waits for a person. Its answer may be lost: settle() asks for it
  /// again.
  void prompt(int n, std::mt19937_64&);
  void answer_permissions();
  /// Until every prompt has been taken and every session is idle; what is in error is tried again, as a
  /// person would.
  void settle();

  // What must be true then (town_model.cpp).

  /// Each prompt was begun exactly once and ended exactly once, its transcript has no gap and no repeat, and
  /// the work of what ended well is there. Only turns whose sandbox was lost may have ended otherwise.
  void verify();
  /// Each process still runs, and what it printed is in the log once and without a gap; each shell is the one
  /// it was.
  void verify_processes();
  /// Deletes all, and finds nothing left of it on this machine.
  void clean_up();

 private:
  struct prompt_sent {
    std::string session;
    json body;
    std::string id;
  };
  struct at_work {
    std::string sandbox, printing, shell;  // keys and ids
  };
  /// A sandbox that runs: its supervisor, and that with all below it.
  struct place {
    std::string sandbox;  // key
    pid_t supervisor;
    std::vector<pid_t> all;
  };

  void make_small_disk();
  void start();
  /// How long until what snapshots say of sandboxes is what the world says, from the moment the server is
  /// there.
  void measure_statuses();
  void start_processes();
  /// Types a line into a task's shell, and reads until `answer` appears.
  void type(const at_work&, const std::string& line, const std::string& answer);
  void send(const std::string& task, const std::string& name, const std::string& text);
  /// The sandbox that a task holds; empty while it has none that runs.
  std::string sandbox_of(const std::string& task);

  api& server();
  bool attempt(const std::function<void()>&);
  void until(const char* what, const std::function<bool()>&);
  json insist(const std::string& key, const std::string& name, const json& body, const std::string& id);
  std::vector<place> places();
  /// Names of the prompts that ended well.
  std::set<std::string> verify_transcript(const std::string& session, const std::set<std::string>& names);

  const town_plan plan_;
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
  std::vector<at_work> processes_;
  std::set<std::string> exhausted_;  ///< tasks whose sandbox ran out of memory
  int losses_ = 0, retries_ = 0, upgrades_ = 0;
  bool was_full_ = false;
  std::chrono::milliseconds slowest_truth_{0};
};

}  // namespace troupe::cli::testing
