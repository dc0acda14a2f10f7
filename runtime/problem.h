// What a caller is told when something cannot be done: RFC 9457 problem details as a value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace troupe {

/// One place where a body does not fit its schema. `pointer` is a JSON pointer (RFC 6901) into the body.
struct violation {
  std::string pointer;
  std::string message;

  bool operator==(const violation&) const = default;
};

/// A problem is the caller's to handle: it is answered, recorded where turns.md says so, and never thrown
/// across an interface. `code` is stable snake_case; `detail` says what was tried, on what, why it failed,
/// what to do.
struct problem {
  int status = 500;
  std::string code;
  std::string detail;
  std::vector<violation> violations = {};
  std::optional<int> retry_after_seconds = {};

  bool operator==(const problem&) const = default;
};

problem bad_request(std::string code, std::string detail);
problem forbidden(std::string detail);
problem not_found(std::string detail);
/// The state does not allow it now.
problem conflict(std::string code, std::string detail);
/// Well-formed, but it does not mean anything here.
problem unprocessable(std::string code, std::string detail);
problem too_many(std::string code, std::string detail, int retry_after_seconds = 1);
problem unavailable(std::string code, std::string detail, int retry_after_seconds = 1);

/// {"type","title","status","code","detail"[,"violations"][,"retry_after"]}; `instance` where given.
void to_json(nlohmann::json&, const problem&);
void from_json(const nlohmann::json&, problem&);
/// The words of the status code: 404 is "Not Found".
const char* title(int status);

}  // namespace troupe
