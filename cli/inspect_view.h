// How what the inspector answers looks on a terminal.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace troupe::cli {

using nlohmann::json;

/// One value on one line, without anything that could move the cursor.
std::string shown(const json&);
/// A member that is a number; 0 when it is none.
std::uint64_t number_in(const json& object, const char* name);
/// Objects and lists with their members below each other.
void write_tree(terminal&, const json&, int depth = 0);
/// One change of a row: "~ tasks[t1] state queued → running".
void write_change(terminal&, const json& change);
/// A command of a history: when, what, by whom, how long, with its body and result.
void write_command(terminal&, const json& command, bool changes);
/// Rows that are objects as a table; these columns, or all.
void write_rows(terminal&, const json& rows, const std::vector<std::string>& columns = {});

/// Who talks to whom, of {"edges":[{from,to,messages,waiting}]}; by kind of actor, or each by itself.
json graph_of(const json& found, bool each);
std::string graph_as_dot(const json& edges);
std::string graph_as_svg(const json& edges);

}  // namespace troupe::cli
