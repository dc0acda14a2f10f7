// `sandboxd serve`: this machine as a place, over TCP or a unix socket.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace troupe::sandboxd {

// Adds the subcommand; when it is chosen it runs until SIGTERM or SIGINT and leaves its exit code in
// `exit_code`, which outlives the parsing.
void add_serve_command(CLI::App& app, int& exit_code);

}  // namespace troupe::sandboxd
