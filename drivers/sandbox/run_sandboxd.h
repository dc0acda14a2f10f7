// Runs a short subcommand of sandboxd and takes the JSON that it prints.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "drivers/daemon/failed.h"
#include "net/wire/asio.h"

namespace troupe::drivers {

inline constexpr std::size_t sandboxd_output_bytes = 1 << 20;

// {"ok":false,"errno","text"} is a value. transport: it could not be started, or did not answer in time (then
// killed).
wire::asio::awaitable<attempt<nlohmann::json>> run_sandboxd(wire::executor ex, std::vector<std::string> argv,
                                                            wire::clock::duration limit);
attempt<nlohmann::json> run_sandboxd_blocking(std::vector<std::string> argv, wire::clock::duration limit);

}  // namespace troupe::drivers
