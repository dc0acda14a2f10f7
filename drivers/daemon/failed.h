// What drivers give when something did not work: a problem for the actor, and whether to try again.
#pragma once

#include <string>
#include <variant>

#include "net/wire/result.h"
#include "runtime/problem.h"

namespace troupe::drivers {

struct failed {
  problem why;
  bool again = false;  // the cause is of the kind that goes away by itself
};

// A value, or what went wrong.
template <class T>
class [[nodiscard]] attempt {
 public:
  attempt(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  attempt(failed f) : held_(std::in_place_index<1>, std::move(f)) {}

  explicit operator bool() const { return held_.index() == 0; }
  // Undefined when there is none: test first.
  T& operator*() { return *std::get_if<0>(&held_); }
  const T& operator*() const { return *std::get_if<0>(&held_); }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }
  const failed& error() const { return *std::get_if<1>(&held_); }

 private:
  std::variant<T, failed> held_;
};

// The codes of docs/effects.md.
failed not_found(std::string detail);
failed invalid(std::string detail);
failed transport(std::string detail);  // again
failed timed_out(std::string detail);
failed git_failed(std::string detail, bool again = false);
failed agent_failed(std::string detail);
failed agent_error(std::string detail);
failed agent_not_installed(std::string detail);
failed quota(std::string detail);
failed disk_full(std::string detail);
// One of the codes of git's failures with a name of their own: `credential_refused`, `not_fast_forward`, …
failed git_refused(const char* code, std::string detail);

// A network failure while doing `what`.
failed from_wire(const std::string& what, const wire::failure& why);

}  // namespace troupe::drivers
