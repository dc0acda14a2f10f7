// What a task does next. Every handler changes rows and ends in advance(): slots are asked for and given
// back, the sandbox is made ready for sessions that may run, sessions are told, the status follows, the
// organization is told.
#pragma once

#include <string_view>

#include "actors/audit_entry.h"
#include "actors/task/record.h"

namespace troupe::actors::tasks {

/// Takes the steps that are due and saves the row.
void advance(turn&, record&);
/// Moves the status and writes the audit entry; nothing happens when it is that already.
void set_status(turn&, record&, std::string_view status);
audit_subject about(const turn&, const record&);

// provisioning.cpp
/// Begins or goes on; ends with ready() or with fail().
void provision(turn&, record&);
/// The task cannot go on by itself: says why, gives up what is under way, gives slots back.
void fail(turn&, record&, const std::string& why);
void begin_step(turn&, record&, std::string_view name);
void end_step(turn&, record&, std::string_view state, std::string_view detail = {},
              std::string_view log = {});
/// A step that sessions take, seen from here: in the table, but not `record::step`.
void note_step(turn&, std::string_view name, std::string_view state);
void stop_provisioning(turn&, record&);

// sandboxes.cpp
/// Gives the sandbox back to the organization, which destroys it.
void release_sandbox(turn&, record&);
/// Wakes a sleeping sandbox, or has one made.
void ask_for_sandbox(turn&, record&);

// sessions.cpp
void ask_for_slots(turn&, record&);
void give_back_slots(turn&);
void tell_sessions(turn&, const record&);
answer make_session(turn&, record&, const json& body, const std::string& prompt);

// work.cpp
/// A diff and then a bundle of the work, as soon as nothing else of the kind runs.
void refresh_work(turn&, record&);
void save_work_for_archive(turn&, record&);
void fail_operations(turn&, std::string_view why);

// publish.cpp
void publish(turn&, record&);
/// What is between a session and its run; the smallest place in line of those that wait.
std::int64_t position(const view&);

}  // namespace troupe::actors::tasks
