#pragma once

#include <string>
#include <utility>
#include <variant>

namespace troupe::sandboxd {

// A call to the operating system that failed. `number` is its errno; `text` says what was tried, on what, and
// why it failed, without the errno's own words where they would only repeat it.
struct os_error {
  int number = 0;
  std::string text;
};

// Either a value or an os_error: what failing is expected of, said in the type.
template <class T>
class [[nodiscard]] outcome {
 public:
  outcome(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  outcome(os_error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  T& value() & { return std::get<0>(held_); }
  const T& value() const& { return std::get<0>(held_); }
  T&& value() && { return std::get<0>(std::move(held_)); }
  T* operator->() { return &std::get<0>(held_); }
  T& operator*() & { return value(); }

  const os_error& error() const { return std::get<1>(held_); }

 private:
  std::variant<T, os_error> held_;
};

// For calls that give nothing but success.
struct done {};

}  // namespace troupe::sandboxd
