// One conversation: what it knows, what it has said, and its file.
//
// The file is HOME/sessions/ID.jsonl: a first line with the folder, then one line per update, mode or model,
// in the order in which they came; session/load sends the updates again. Any thread may call; one turn runs
// at a time.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "examples/scripted_agent/rpc.h"

namespace scripted {

inline constexpr std::uintmax_t max_session_file =
    64u << 20;  // bytes; beyond it updates are sent and no longer kept

struct usage_count {
  std::int64_t input = 0;  // tokens; a token of this agent is four bytes of text
  std::int64_t output = 0;
};

class session {
 public:
  // A new one. Throws refusal when its file cannot be made.
  static std::shared_ptr<session> create(const std::filesystem::path& home, peer& client, std::string cwd);
  // One from its file. Throws refusal (not_found) when there is none of that id.
  static std::shared_ptr<session> load(const std::filesystem::path& home, peer& client,
                                       const std::string& id);
  // Of every session in the folder: sessionId, cwd, title, updatedAt.
  static json list(const std::filesystem::path& home);

  ~session();
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  const std::string& id() const { return id_; }
  std::string cwd() const;
  void set_cwd(std::string cwd);

  // Sends an update to the client and keeps it for replay.
  void update(json update);
  // Keeps it without sending: the client's own prompt.
  void remember(json update);
  void replay();

  // What session/new, session/load and set_config_option answer about modes and models.
  json modes() const;
  json config_options() const;
  std::string mode() const;
  std::string model() const;
  std::string title() const;
  void set_mode(const std::string& mode);    // throws refusal for an unknown one
  void set_model(const std::string& model);  // likewise

  bool allowed_always(const std::string& kind) const;
  void allow_always(const std::string& kind);
  std::int64_t spend(const usage_count& more);  // the tokens used so far, all turns together

  // Runs `turn` in a thread of its own, and then what it returns, which answers the prompt: by then the
  // session is free for the next one. False: a turn is running.
  using answer = std::function<void()>;
  bool begin_turn(std::function<answer(std::stop_token)> turn);
  void cancel();
  void wait();  // for the end of the running turn

 private:
  session(std::filesystem::path file, peer& client, std::string id, std::string cwd);
  void keep(const json& line);

  const std::filesystem::path file_;
  peer& client_;
  const std::string id_;

  mutable std::mutex mutex_;  // of everything below
  std::string cwd_;
  std::string mode_ = "default";
  std::string model_ = "scripted-1";
  std::string title_;
  std::set<std::string> always_;
  std::int64_t used_ = 0;
  std::FILE* out_ = nullptr;
  std::uintmax_t kept_ = 0;  // bytes in the file

  std::mutex turn_mutex_;
  bool running_ = false;
  std::jthread turn_;
};

json update_of_chunk(const char* kind, std::string_view text, const std::string& message_id = "");

}  // namespace scripted
