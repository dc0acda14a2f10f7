// What sandboxes leave in this world when nobody ends them properly: a folder whose owner is gone, a
// supervisor whose folder is gone, and what those held.
//
// Looking and removing are two steps, because only the caller knows which sandboxes there ought to be: it
// looks, then asks its rows, and has removed what no row knows. A row is written before anything of its
// sandbox is made, so that what was seen and is in no row then is nobody's.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "sandboxd/isolation/identity.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

struct trace {
  // sandbox: a folder with an intent, and all that goes with it. folder: one without. process: a supervisor
  // without an intent. group: a control group without processes. socket, mount, claim (of a uid).
  std::string what;
  std::filesystem::path where;
  std::string sandbox, life;  // whose; both empty for what nothing names any more, `life` for a folder
  process_identity who;       // of a process
};

nlohmann::json to_json(const trace&);
trace trace_from_json(const nlohmann::json&);

// Of the sandboxes of this data folder, those that live included; and of other folders what certainly is
// nobody's any more: supervisors whose intent is gone and control groups that have been empty for a minute.
std::vector<trace> find_traces(const std::filesystem::path& data);

// With its processes. Gone already is success.
outcome<done> remove_trace(const trace&);

}  // namespace troupe::sandboxd
