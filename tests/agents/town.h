// The real agents from npm at work: one server, one stand-in for their model providers, and conversations
// with them. Nothing leaves the machine but what npm fetches.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/api.h"
#include "cli/live.h"
#include "tests/cli/program.h"

namespace troupe::agents::testing {

using nlohmann::json;

/// The agents that are tried: each has to be installed.
const std::vector<std::string>& tried_agents();

class town {
 public:
  /// The one of this program, made at the first call; null where npm cannot be reached and nothing is
  /// installed (then it has printed so).
  static town* get();
  ~town();

  cli::api& server() { return *server_; }
  const cli::place_of_server& place() const { return place_; }
  const cli::testing::scratch& home() const { return home_; }
  /// A Node that the stand-in runs on.
  static std::string node();
  /// What the model was asked, in its order: see tests/scripted-model/README.md.
  json requests();
  /// SIGKILL for the server, and another on the same data. Conversations have to reconnect().
  void kill_server();
  /// The actors' files in the data folder that hold these bytes.
  std::vector<std::string> files_with(const std::string& bytes) const;

 private:
  town();
  void install();
  void serve();
  void serve_model();

  cli::testing::scratch home_;
  int model_ = -1;        // its pid
  int model_input_ = -1;  // open: it lives
  std::string model_url_;
  std::unique_ptr<cli::testing::serving> serving_;
  cli::place_of_server place_;
  std::unique_ptr<cli::api> server_;
};

/// A task with one session, followed live.
class conversation {
 public:
  using answers = std::function<std::string(const json& permission)>;
  /// Permission requests are answered by `how`.
  conversation(town&, const std::string& agent, const std::string& prompt, answers how = allow);
  ~conversation();

  static std::string allow(const json&) { return "allow_once"; }
  static std::string refuse(const json&) { return "reject"; }

  void say(const std::string& prompt, answers how = allow);
  void command(const std::string& name, json body = json::object());

  /// Waits for an entry of the transcript after the last one that was waited for.
  json wait_for(const std::function<bool(const json& entry)>& wanted);
  /// Goes on answering until it holds; false after 60 s.
  bool until(const std::function<bool()>& holds);
  /// Of the next turn that ends.
  json turn_end();
  /// Everything so far, in order.
  const std::vector<json>& transcript() const { return entries_; }
  /// Updates of that kind so far.
  std::vector<json> updates(const std::string& kind) const;
  /// What the agent said in words since the last prompt.
  std::string words() const;
  json session();
  /// The task's diff as text, once it has been taken after the last turn.
  std::string diff();
  /// To the server that is there now; the transcript is read again from its beginning.
  void reconnect();
  const std::string& session_key() const { return session_; }

 private:
  void take(const json& frame);

  town& town_;
  std::string task_, session_;
  answers how_;
  std::unique_ptr<cli::live> live_;
  std::vector<json> entries_;
  std::size_t seen_ = 0;  // of entries_, by wait_for()
  std::vector<std::string> answered_;
};

/// Whether a process of this machine has `words` in its command line.
bool runs(const std::string& words);
/// Polls in short steps for at most 20 s.
bool eventually(const std::function<bool()>& holds);

}  // namespace troupe::agents::testing
