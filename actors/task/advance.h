// What a task does next. Every handler changes rows and ends in advance(): slots are asked for and given
// back, the sandbox is made ready for sessions that may run, sessions are told, the status follows, the
// organization is told.
#pragma once

#include <optional>
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
/// The repository and whose credential it is asked with: the owner's, who may change from one effect to the
/// next; that of nobody whom somebody else made the owner.
json remote_of(const view&, const record&);

// sandboxes.cpp
/// Gives the sandbox back to the organization, which destroys it.
void release_sandbox(turn&, record&);
/// Wakes a sleeping sandbox, or has one made.
void ask_for_sandbox(turn&, record&);

// sessions.cpp
void ask_for_slots(turn&, record&);
void give_back_slots(turn&);
void tell_sessions(turn&, const record&);
/// To the session used last, or to a new one.
void say(turn&, record&, const std::string& text);
answer make_session(turn&, record&, const json& body, const std::string& prompt);

// work.cpp
/// A diff and then a bundle of the work, as soon as nothing else of the kind runs.
void refresh_work(turn&, record&);
void save_work_for_archive(turn&, record&);
/// Whether the files of the sandbox can be looked at now; the problem when they cannot.
bool can_look(const record&);
problem not_running(const record&);
json author(const record&);

// budget.cpp
/// Adds what is new in a session's summary to the owner's.
void count_usage(turn&, const record&, const json& before, const json& now);
json usage_by_person(const view&);
json usage_of(const view&);
/// Why nothing may run; empty when it may.
std::string why_held(const view&, const record&);
std::optional<problem> refuse_when_held(const view&, const record&);

// operations.cpp
std::string begin_operation(turn&, std::string_view what);
/// Of the effect that the operation stands in the context of.
void end_operation(turn&, const outcome&);
/// All of the kind that run.
void end_operations(turn&, std::string_view what, std::string_view state, const json& result,
                    const problem& why = {});
void fail_operations(turn&, std::string_view why);
bool is_running(const view&, std::string_view what);

// publish.cpp
void publish(turn&, record&);
/// What is between a session and its run; the smallest place in line of those that wait.
std::int64_t position(const view&);

}  // namespace troupe::actors::tasks
