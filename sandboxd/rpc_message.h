// What the daemon needs to know of a JSON-RPC message. It passes the bytes on as they are.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::sandboxd {

struct rpc_message {
  std::string fault;  // not JSON, or not an object: why. Empty: the rest is meaningful
  bool is_json = false;
  std::optional<std::string> id;  // as JSON, exact in type: 1 and "1" differ; null counts
  bool has_method = false;
  std::string method;  // when it is a string

  bool is_request() const { return has_method && id; }
  bool is_response() const { return !has_method && id; }
};

// Looks without building a document: a message of 16 MiB costs no more memory than its longest string. The
// last of repeated members counts.
rpc_message look_at(std::string_view text);

// On one line: in JSON a line end is only ever space between tokens.
std::string on_one_line(std::string text);

// The daemon's own notifications.
std::string invalid_stdout(std::string_view error, std::string_view raw);
std::string agent_exited(std::optional<int> code);

}  // namespace troupe::sandboxd
