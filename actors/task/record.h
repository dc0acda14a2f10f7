// The rows of a task as values.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "runtime/turn.h"

namespace troupe::actors::tasks {

inline constexpr std::size_t max_error = 2000;         // bytes of an error kept
inline constexpr std::size_t max_step_log = 64 << 10;  // bytes of the setup command's output, the end of it
inline constexpr std::size_t max_sessions = 100;
inline constexpr std::size_t shown_files = 300;
inline constexpr std::int64_t kept_operations = 50;
inline constexpr std::chrono::minutes setup_deadline{10};
inline constexpr std::chrono::minutes renew_every{5};  // a slot lives 15

struct fields {
  std::string status = "idle", error, title, branch, description;
  bool existing_branch = false;
  json repository;
  std::string owner, agent, model, mode, provider;
  json requirements;
  std::string created_by;
  std::int64_t created_at = 0, updated_at = 0;
  std::string sandbox, sandbox_state = "none", handle, tier;
  json items = json::object();
  std::int64_t creation = 0, generation = 0, prepared = -1;
  std::string step, effect, mirror, base_branch, base, head;
  std::string work_effect;
  bool work_again = false;
  std::string work_error;
  std::int64_t additions = 0, deletions = 0, files = 0;
  bool dirty = false;
  std::int64_t diff_at = 0;
  std::string bundle, bundle_commit;
  std::int64_t bundle_bytes = 0, bundle_at = 0;
  std::string summary;
  json pushed, merge, budget;  // as the migrations say
  std::string held;
  json mcp_servers = json::array();
  bool taken = true;

  /// An act of this person's own: from now on their credential may be shown to the remote.
  void taken_by(const std::string& person) { owner = person, taken = true; }
  /// Whether agents can work: the sandbox runs and its files are in place.
  bool ready() const {
    return sandbox_state == "running" && !handle.empty() && prepared == creation && step.empty();
  }
  // What the saved work keeps.
  bool has_work() const { return files > 0 || dirty || (!head.empty() && head != base); }

  // What stands in no remote.
  bool has_unpushed_work() const {
    const bool has_commits = !head.empty() && head != base;
    const bool all_pushed = has_commits && pushed.is_object() && pushed.value("commit", "") == head;
    return dirty || (has_work() && !all_pushed);
  }

  bool operator==(const fields&) const = default;
};

struct record : fields {
  /// As the row stands, so that what did not change is not written (and not kept in the history).
  std::optional<fields> loaded;
};

struct session_row {
  std::string id;
  json summary;
  std::string status;
  std::int64_t ask = 0;
  bool demand = false;
  std::int64_t turns = 0;
  std::string slot = "none";
  std::int64_t position = 0, slot_asked_at = 0;
  std::string told;
  std::int64_t created_at = 0, used_at = 0;
};

bool made(const view&);
record load(const view&);
/// Makes the row or replaces it.
void save(turn&, record&);

std::vector<session_row> sessions(const view&);
std::optional<session_row> find_session(const view&, const std::string& id);
void save_session(turn&, const session_row&);

key session_key(const view&, const std::string& id);
key sandbox_key(const view&, const std::string& id);
key organization(const view&);

}  // namespace troupe::actors::tasks
