// What a session does next. Every handler changes the record and ends in advance(), which looks at the whole
// and takes the one step that is due: ask for a slot, start the agent, set its mode, run the next prompt,
// give the slot back.
#pragma once

#include <string_view>

#include "actors/session/record.h"

namespace troupe::actors::sessions {

/// Moves the status by the table. An event that the table does not have in this state changes nothing.
void happen(record&, std::string_view event);

/// Takes the next step, saves the row, tells the task what changed.
void advance(turn&, record&);

// agent.cpp: the agent's process.
void start_agent(turn&, record&);
/// Forgets the connection; `stop` also ends the process, which is pointless where the sandbox is gone.
void drop_link(turn&, record&, bool stop);
/// Asks the agent for the mode and the model that were wanted and are not in force.
void apply_wishes(turn&, record&);
bool settings_pending(const view&);
/// The request body fields that every agent.* effect has.
json link_body(const record&);

// turns.cpp: prompts at work.
void begin_turn(turn&, record&);
struct turn_end {
  std::string stop_reason;
  json usage = nullptr;
  json error = nullptr;     // {code, message, data?} of the agent or {code, detail} of a problem
  bool agent_gone = false;  // the process ended or cannot be trusted any more
};
void end_turn(turn&, record&, const turn_end&);
/// Asks the agent to stop; it gets `cancel_grace` for that.
void cancel_turn(turn&, record&, std::string_view ending);

// permissions.cpp
void ask_permission(turn&, record&, const json& request_id, const json& params);
/// Answers what is pending with "cancelled" (an agent that still waits would wait for ever).
void cancel_permissions(turn&, record&);
/// The agent ended its turn: nobody waits for these any more.
void withdraw_permissions(turn&);

// tool_calls.cpp
void merge_tool_call(turn&, const json& update);
void close_tool_calls(turn&, std::string_view why);

// memory.cpp: what was said, for an agent that cannot load its session.
void remember(turn&, std::string_view who, std::string_view text);
std::string context(const view&);
/// The text of ACP content blocks; other blocks as "[image]".
std::string text_of(const json& content);

}  // namespace troupe::actors::sessions
