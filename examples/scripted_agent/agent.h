// The Agent Client Protocol's agent side: which method does what.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "examples/scripted_agent/rpc.h"
#include "examples/scripted_agent/session.h"

namespace scripted {

inline constexpr std::size_t max_sessions = 64;  // open at once in one process

struct agent_options {
  std::filesystem::path home;         // sessions are kept under it
  std::string mode = "default";       // of new sessions
  std::chrono::milliseconds pace{0};  // between two chunks of a message
};

// handle() is called on one thread, the one that reads; prompts run in threads of their sessions.
class agent {
 public:
  agent(peer& client, agent_options options) : client_(client), options_(std::move(options)) {}

  void handle(const std::string& method, const json& params, const json& id);
  // Cancels every turn and waits for their ends.
  void stop();

 private:
  json initialize(const json& params) const;
  json new_session(const json& params);
  json load_session(const json& params, bool replay);
  json set_option(session& s, const std::string& option, const std::string& value);
  void prompt(const json& params, const json& id);
  void opened(session& s);  // what the client is told unasked after a session was made or loaded
  session& find(const json& params);
  void make_room() const;

  peer& client_;
  const agent_options options_;
  std::map<std::string, std::shared_ptr<session>> sessions_;
};

}  // namespace scripted
