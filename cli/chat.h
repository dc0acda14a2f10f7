// One session at the keyboard: what the agent does streams in, what is typed goes to it.
#pragma once

#include <string>

namespace troupe::cli {

struct context;

/// Until /quit, Ctrl-D or the end of the session's task. Throws failure where there is no keyboard, or when
/// the session is gone.
void chat(context&, const std::string& session);

}  // namespace troupe::cli
