// One prompt of one session: its steps, one after the other, in the session's thread.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>

#include "examples/scripted_agent/rpc.h"
#include "examples/scripted_agent/script.h"
#include "examples/scripted_agent/session.h"

namespace scripted {

inline constexpr std::int64_t context_size = 200'000;      // tokens, as usage_update reports it
inline constexpr std::size_t max_shown_file = 256u << 10;  // bytes of a file in a tool call
inline constexpr std::size_t max_listed = 200;             // names in the answer of `list`

class turn {
 public:
  turn(session& s, peer& client, std::stop_token stop, std::chrono::milliseconds pace)
      : session_(s), client_(client), stop_(std::move(stop)), pace_(pace) {}

  // The result of session/prompt. Throws refusal where the prompt fails.
  json perform(const std::string& prompt);

 private:
  class tool_call;

  void perform(const step& s);
  void speak(const char* kind, std::string_view text);
  void plan(const step& s);
  void run(const step& s);
  void write(const step& s);
  void edit(const step& s);
  void read(const step& s);
  void list(const step& s);
  void ask(const step& s);
  void flood(const step& s);
  void hang(bool hard);
  void report_usage(double cost);
  // Until it has passed or the turn is stopped.
  void pause(std::chrono::nanoseconds time);
  std::string absolute(const std::string& path) const;

  session& session_;
  peer& client_;
  const std::stop_token stop_;
  const std::chrono::milliseconds pace_;  // between two chunks of a message
  usage_count usage_;
  std::string stop_reason_;  // not empty: the script ends here with it
};

}  // namespace scripted
