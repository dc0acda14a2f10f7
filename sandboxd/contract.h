// The answers of the published contract: problems with their kinds and titles, and the plain texts of
// requests that were refused before a handler looked at them. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/wire/message.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd::contract {

wire::response invalid_request(std::string_view message);
wire::response payload_too_large(std::string_view message);
wire::response endpoint_not_found();
wire::response conflict(std::string_view message);
wire::response not_found(std::string_view resource, std::string_view id);
wire::response session_not_found(std::string_view id);
wire::response unsupported_agent(std::string_view agent);
wire::response agent_not_installed(std::string_view agent);
wire::response install_failed(std::string_view agent, std::string_view stderr_tail);
wire::response agent_process_exited(std::string_view agent, std::optional<int> exit_code,
                                    std::string_view stderr_tail);
wire::response token_invalid();
wire::response not_acceptable(std::string_view message);
wire::response unsupported_media_type(std::string_view message);
wire::response stream_error(std::string_view message);
wire::response timeout(std::string_view message);

// Ours, in the same shape.
wire::response key_reused(std::string_view key);
wire::response too_many_keys(std::string_view detail);
wire::response interrupted(std::string_view key);
wire::response busy(std::string_view message);
wire::response internal(std::string_view message);

// "No such file or directory (os error 2)".
std::string os_text(int number);

// What a file operation failed with: 400 for what is not there or of the wrong kind, 502 for the rest.
wire::response file_problem(const os_error& error, std::string_view path);

// text/plain refusals.
wire::response bad_query(std::string_view what);
wire::response bad_json(std::string_view what);
wire::response bad_body(std::string_view what);  // JSON of the wrong shape
wire::response not_json();                       // another media type
wire::response too_long();

}  // namespace troupe::sandboxd::contract
