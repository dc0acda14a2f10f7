// The MCP servers that an organization's sessions are given: `troupe org mcp`.
#pragma once

namespace CLI {
class App;
}

namespace troupe::cli {

struct context;

void add_org_mcp(CLI::App& org, context&);

}  // namespace troupe::cli
