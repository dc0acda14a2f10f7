// What every command of the CLI has at hand: how to print, where the server is, which organization is meant.
// One per run of the program; one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/api.h"
#include "cli/live.h"
#include "cli/terminal.h"

namespace troupe::cli {

struct context {
  bool as_json = false;
  std::string server_url;
  std::string token;
  std::string data;
  std::string organization;

  terminal out = terminal::of(stdout);
  terminal err = terminal::of(stderr);

  /// The server that the options, the environment or a file name. Throws failure when none is named.
  place_of_server place() const;
  api& server();
  live connect() const { return live(place()); }

  /// Prints `value` as one line of JSON when --json was given; whether it did.
  bool print_json(const json& value);

  /// --org, TROUPE_ORG, or the one organization that the caller is in. Throws failure naming the choices.
  std::string org();
  std::string org_key() { return "org/" + org(); }
  /// The caller's organizations with roles, and its user: {"user","admin","roles":{ORG: ROLE}}.
  json principal();

  /// The key of a task that is named by its key, its id or the beginning of it, its branch, or its title.
  std::string task_key(const std::string& name);
  /// TASK or TASK/SESSION or a session's key; without a session the newest of the task.
  std::string session_key(const std::string& name);
  /// A sandbox's key, its id or the beginning of it, or the task that holds it, named as for task_key().
  std::string sandbox_key(const std::string& name);

 private:
  std::unique_ptr<api> api_;
  std::optional<json> principal_;
};

/// The last segment of a key.
std::string last_id(std::string_view key);
/// The key of the task that a session belongs to.
std::string task_of(std::string_view session);
/// The end of an id, which tells ids of one time apart and is taken wherever the whole one is.
std::string short_id(std::string_view id);

/// `text`, or what stands on standard input when it is "-". Throws misused when that is empty.
std::string text_or_stdin(const std::string& text, std::string_view what);

}  // namespace troupe::cli
