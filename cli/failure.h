// How a command of the CLI ends: 0 done, 1 failed, 2 usage. Thrown inside cli/ only, printed once by main().
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::cli {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// What failed and what to do; fit for a person.
class failure : public std::runtime_error {
 public:
  explicit failure(std::string text, std::string hint = {}, int code = exit_failed)
      : std::runtime_error(std::move(text)), hint_(std::move(hint)), code_(code) {}

  const std::string& hint() const { return hint_; }
  int exit_code() const { return code_; }
  /// The server's problem details where it was the server that refused; null otherwise.
  const nlohmann::json& problem() const { return problem_; }

  /// The problem's, where there is one: else empty and 0.
  std::string code() const { return problem_.is_object() ? problem_.value("code", "") : std::string(); }
  int status() const { return problem_.is_object() ? problem_.value("status", 0) : 0; }

  failure with(nlohmann::json problem) && {
    problem_ = std::move(problem);
    return std::move(*this);
  }

 private:
  std::string hint_;
  int code_;
  nlohmann::json problem_;
};

inline failure misused(std::string text, std::string hint = {}) {
  return failure(std::move(text), std::move(hint), exit_usage);
}

}  // namespace troupe::cli
