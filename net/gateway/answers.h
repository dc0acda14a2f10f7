// Problems and JSON as HTTP answers. Private to this folder.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <nlohmann/json.hpp>

#include "net/wire/server.h"
#include "runtime/problem.h"
#include "runtime/topic.h"

namespace troupe::gateway {

using nlohmann::json;

// The problem as the protocol shows it: `instance` is the actor or address that it is about.
json shown(const problem&, std::string_view instance);

wire::response refusal(const problem&, std::string_view instance);
wire::response json_answer(int status, const json&);

// Text that may hold bytes that are no UTF-8 (a file's, a process's) never makes encoding fail.
std::string encode(const json&);

// 400 not_json for what is not JSON or nests deeper than max_json_depth: encoders recurse, and what a client
// sends is encoded again many times.
inline constexpr int max_json_depth = 64;
std::variant<json, problem> parse_json(std::string_view text);

// The body of a request as JSON: an empty one is {}. 400 not_json, 415 for another content type.
std::variant<json, problem> body_of(const wire::request&);

// A key from an address or a message; 400 bad_key outside the grammar.
std::variant<key, problem> key_of(std::string_view text);

problem hidden(const key&);
problem unauthorized();
problem too_many_attempts(std::chrono::seconds left);

std::string etag_of(const revision_id&);
// What a client says that it has, from an ETag or from `have`.
std::optional<revision_id> revision_of_etag(std::string_view);

// The JSON members of a page: topic is left to the caller. No braces around them.
std::string page_members(const stream_page&);

}  // namespace troupe::gateway
