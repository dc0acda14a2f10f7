#include "sandboxd/contract.h"

#include <cerrno>
#include <cstring>

#include <nlohmann/json.hpp>

namespace troupe::sandboxd::contract {
namespace {

using nlohmann::json;

wire::response problem(int status, std::string_view kind, std::string_view title, std::string detail,
                       json extensions = json::object()) {
  extensions["type"] = "urn:sandbox-agent:error:" + std::string(kind);
  extensions["title"] = title;
  extensions["status"] = status;
  extensions["detail"] = std::move(detail);
  return wire::response::of(status, "application/problem+json",
                            extensions.dump(-1, ' ', false, json::error_handler_t::replace));
}

wire::response with_message(int status, std::string_view kind, std::string_view title,
                            std::string_view prefix, std::string_view message) {
  json details;
  details["details"]["message"] = message;
  return problem(status, kind, title, std::string(prefix).append(message), std::move(details));
}

}  // namespace

wire::response invalid_request(std::string_view message) {
  return problem(400, "invalid_request", "Invalid Request", "invalid request: " + std::string(message));
}

wire::response payload_too_large(std::string_view message) {
  return problem(413, "invalid_request", "Payload Too Large", "invalid request: " + std::string(message));
}

wire::response endpoint_not_found() {
  return problem(404, "invalid_request", "Not Found", "endpoint not found");
}

wire::response conflict(std::string_view message) {
  return with_message(409, "conflict", "Conflict", "conflict: ", message);
}

wire::response not_found(std::string_view resource, std::string_view id) {
  json more;
  more["details"]["resource"] = resource;
  more["details"]["id"] = id;
  return problem(404, "not_found", "Not Found",
                 std::string("not found: ").append(resource).append(" ").append(id), std::move(more));
}

wire::response session_not_found(std::string_view id) {
  json more;
  more["sessionId"] = id;
  return problem(404, "session_not_found", "Session Not Found", std::string("session not found: ").append(id),
                 std::move(more));
}

wire::response unsupported_agent(std::string_view agent) {
  json more;
  more["agent"] = agent;
  return problem(400, "unsupported_agent", "Unsupported Agent",
                 std::string("unsupported agent: ").append(agent), std::move(more));
}

wire::response agent_not_installed(std::string_view agent) {
  json more;
  more["agent"] = agent;
  return problem(404, "agent_not_installed", "Agent Not Installed",
                 std::string("agent not installed: ").append(agent), std::move(more));
}

wire::response install_failed(std::string_view agent, std::string_view stderr_tail) {
  json more;
  more["agent"] = agent;
  more["details"]["stderr"] = stderr_tail;
  return problem(500, "install_failed", "Install Failed", std::string("install failed: ").append(agent),
                 std::move(more));
}

wire::response agent_process_exited(std::string_view agent, std::optional<int> exit_code,
                                    std::string_view stderr_tail) {
  json more;
  more["agent"] = agent;
  more["details"]["exitCode"] = exit_code ? json(*exit_code) : json(nullptr);
  more["details"]["stderr"] = stderr_tail;
  return problem(500, "agent_process_exited", "Agent Process Exited",
                 std::string("agent process exited: ").append(agent), std::move(more));
}

wire::response token_invalid() {
  json more;
  more["details"]["message"] = "missing or invalid bearer token";
  return problem(401, "token_invalid", "Token Invalid", "token invalid", std::move(more));
}

wire::response not_acceptable(std::string_view message) {
  return with_message(406, "not_acceptable", "Not Acceptable", "not acceptable: ", message);
}

wire::response unsupported_media_type(std::string_view message) {
  return with_message(415, "unsupported_media_type", "Unsupported Media Type",
                      "unsupported media type: ", message);
}

wire::response stream_error(std::string_view message) {
  return with_message(502, "stream_error", "Stream Error", "stream error: ", message);
}

wire::response timeout(std::string_view message) {
  json more;
  more["details"]["message"] = message;
  return problem(504, "timeout", "Timeout", "timeout", std::move(more));
}

wire::response key_reused(std::string_view key) {
  json more;
  more["key"] = key;
  return problem(422, "idempotency_key_reused", "Idempotency Key Reused",
                 "this idempotency key came before with another request; use a new key for a new request",
                 std::move(more));
}

wire::response too_many_keys(std::string_view detail) {
  return problem(429, "too_many_keys", "Too Many Keys", std::string(detail));
}

wire::response interrupted(std::string_view key) {
  json more;
  more["key"] = key;
  return problem(
      500, "interrupted", "Interrupted",
      "the daemon ended while it did what this idempotency key asked for; look at what is there, then ask "
      "with a new key",
      std::move(more));
}

wire::response busy(std::string_view message) {
  return with_message(503, "busy", "Busy", "busy: ", message);
}

wire::response internal(std::string_view message) {
  return with_message(500, "internal", "Internal Error", "internal error: ", message);
}

std::string os_text(int number) {
  return std::string(std::strerror(number)) + " (os error " + std::to_string(number) + ")";
}

wire::response file_problem(const os_error& error, std::string_view path) {
  std::string where(path);
  switch (error.number) {
    case ENOENT:
      return invalid_request("path not found: " + where);
    case ENOTDIR:
      return invalid_request("path is not a directory: " + where);
    case EISDIR:
      return invalid_request("path is not a file: " + where);
    case EXDEV:
      return invalid_request("path is outside of the root: " + where);
    case EINVAL:
    case ENAMETOOLONG:
    case EOVERFLOW:
      return invalid_request(error.text);
    default:
      return stream_error(os_text(error.number));
  }
}

wire::response bad_query(std::string_view what) {
  return wire::response::text(400, std::string("Failed to deserialize query string: ").append(what));
}

wire::response bad_json(std::string_view what) {
  return wire::response::text(400, std::string("Failed to parse the request body as JSON: ").append(what));
}

wire::response bad_body(std::string_view what) {
  return wire::response::text(
      422, std::string("Failed to deserialize the JSON body into the target type: ").append(what));
}

wire::response not_json() {
  return wire::response::text(415, "Expected request with `Content-Type: application/json`");
}

wire::response too_long() {
  return wire::response::text(413, "Failed to buffer the request body: length limit exceeded");
}

}  // namespace troupe::sandboxd::contract
