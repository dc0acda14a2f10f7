// A session's transcript as it is read in a terminal: messages flow, tool calls open and close, plans are
// checked off.
//
// One per transcript, fed in order; it remembers open calls and what line the cursor is on. One thread.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace troupe::cli {

class transcript_view {
 public:
  /// Lines of output and of a change that are shown for one tool call; the rest is counted.
  static constexpr std::size_t max_output_lines = 8;
  static constexpr std::size_t max_change_lines = 24;
  /// Calls remembered; agents that never close theirs cannot fill memory.
  static constexpr std::size_t max_open_calls = 256;

  transcript_view(terminal& out, std::string agent) : out_(out), agent_(std::move(agent)) {}

  /// One entry of the stream.
  void show(const nlohmann::json& entry, std::int64_t time_ms);

  /// Ends a line that messages left open, before something else is written.
  void settle();

 private:
  struct call {
    std::string title;
    std::string kind;
    std::int64_t began = 0;
    std::set<std::string> shown;  // parts of its content that were written already
  };

  void text(const char* who, style, const std::string& chunk);
  void update(const nlohmann::json& what, std::int64_t time_ms);
  void permission_answered(const nlohmann::json& entry);
  void turn_ended(const nlohmann::json& entry);
  void tool(const nlohmann::json& update, std::int64_t time_ms);
  void content(call&, const nlohmann::json& parts);
  void plan(const nlohmann::json& entries);
  void note(style, std::string_view text);

  terminal& out_;
  std::string agent_;
  std::string speaking_;  // whose text the open line belongs to; empty: the cursor is at a line's start
  std::size_t column_ = 0;
  bool blank_ = true;  // the last line is empty or there is none yet
  std::map<std::string, call> calls_;
  std::map<std::string, std::string> plan_;  // entry → status that was shown
};

}  // namespace troupe::cli
