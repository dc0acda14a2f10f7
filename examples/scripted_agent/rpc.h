// JSON-RPC 2.0 over lines: one JSON object per line, in on one descriptor, out on another.
//
// run() reads on the thread that calls it and hands every request and notification to the handler on that
// thread; answers go to whoever waits in ask(). notify(), answer(), refuse() and ask() may be called from any
// thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace scripted {

using json = nlohmann::json;

inline constexpr std::size_t max_line = 16u << 20;  // bytes; a longer line ends the conversation

// JSON-RPC's own numbers and the two that ACP adds.
enum class fault {
  parse = -32700,
  invalid_request = -32600,
  unknown_method = -32601,
  invalid_params = -32602,
  internal = -32603,
  auth_required = -32000,
  not_found = -32002
};

// What a handler throws to answer a request with an error.
struct refusal {
  fault code;
  std::string message;
  json data = nullptr;
};

class peer {
 public:
  // (method, params, id); id is null for a notification.
  using handler = std::function<void(const std::string&, const json&, const json&)>;

  peer(int in, int out) : in_(in), out_(out) {}

  // Returns at the end of input, when `wake` becomes readable, or when a line is longer than max_line.
  void run(const handler& on_message, int wake);

  void notify(std::string_view method, json params);
  void answer(const json& id, json result);
  void refuse(const json& id, const refusal& why);
  // Asks the client and waits. Empty: stopped before it answered. An error answer comes as {"error": …}.
  std::optional<json> ask(std::string_view method, json params, const std::stop_token& stop);
  // Bytes as they are, to show what a broken agent looks like.
  void write_raw(std::string_view bytes);

 private:
  void send(const json& message);
  void receive(std::string_view line, const handler& on_message);

  int in_;
  int out_;
  std::mutex out_mutex_;
  std::mutex asked_mutex_;
  std::condition_variable_any answered_;
  std::map<std::int64_t, json> answers_;  // of questions that wait; null until the answer comes
  std::int64_t next_id_ =
      0;  // from 0 like the agents in the field, so that it collides with the client's ids
};

}  // namespace scripted
