// The row of a session as a value.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "runtime/turn.h"

namespace troupe::actors::sessions {

inline constexpr std::size_t max_error = 2000;  // bytes of an error kept
inline constexpr std::size_t max_title = 120;   // bytes
inline constexpr std::int64_t max_queue = 100;  // prompts that wait
inline constexpr std::int64_t max_pending_permissions = 50;
inline constexpr std::int64_t kept_permissions = 200;  // that were decided
inline constexpr std::size_t max_plan_entries = 200;
inline constexpr std::size_t max_commands = 100;
inline constexpr std::size_t max_open_calls = 1000;  // of one turn
inline constexpr int max_guards_in_a_row = 2;
inline constexpr int max_guards_per_prompt = 20;
inline constexpr std::size_t max_context_bytes = 48 << 10;  // what an agent is told again
inline constexpr std::size_t max_said = 8 << 10;            // bytes kept of one saying
inline constexpr std::int64_t default_prompt_seconds = 4 * 3600;
inline constexpr std::int64_t default_permission_seconds = 3600;
inline constexpr std::chrono::seconds budget_grace{1};   // for an agent whose budget is used up
inline constexpr std::chrono::seconds cancel_grace{30};  // then the agent's process is ended
inline constexpr std::chrono::seconds settle_time{15};  // for the feed to bring what the effect knows already
inline constexpr std::chrono::minutes start_deadline{5};

struct fields {
  std::string status = "pending", error, agent, title, title_by, created_by;
  std::int64_t created_at = 0, updated_at = 0;
  bool guard = true;
  std::int64_t prompt_seconds = default_prompt_seconds, permission_seconds = default_permission_seconds,
               max_tokens = 0;
  std::string handle, sandbox_state = "none";
  std::int64_t generation = 0;
  std::string cwd = "/workspace";
  json environment = json::object();
  std::int64_t ask = 0;
  bool asking = false;
  std::int64_t slot = 0;
  bool wake = false;
  std::string link;
  std::int64_t links = 0;
  std::string connection;
  std::int64_t link_generation = 0;
  std::string start_effect, start_request, feed, agent_session;
  bool replaying = false, context_due = false;
  std::string mode_wanted, model_wanted;
  json capabilities = json::object(), agent_info, modes, models, config_options, commands = json::array();
  json plan = json::array();
  std::int64_t guard_count = 0, guard_total = 0, turns = 0, context_used = 0, context_size = 0,
               input_tokens = 0, output_tokens = 0, cached_read_tokens = 0, cached_write_tokens = 0,
               total_tokens = 0;
  double cost = 0, cost_before = 0;
  std::string currency;
  std::string summary, held;
  json mcp_servers = json::array();

  bool closed() const { return status == "closed"; }
  bool may_run() const { return asking && slot == ask && !handle.empty() && sandbox_state == "running"; }

  bool operator==(const fields&) const = default;
};

struct record : fields {
  /// As the row stands, so that what did not change is not written (and not kept in the history).
  std::optional<fields> loaded;
};

/// The running prompt.
struct running_turn {
  std::string prompt, request, effect = {};
  std::int64_t started_at = 0;
  std::string ending = {};
  json outcome = {};
  bool refused = false;
};

bool made(const view&);
record load(const view&);
/// Makes the row or replaces it.
void save(turn&, record&);
std::optional<running_turn> current_turn(const view&);
void save_turn(turn&, const running_turn&);

std::int64_t queued(const view&);
std::int64_t pending_permissions(const view&);

}  // namespace troupe::actors::sessions
