// What an operation on the network gives: a value, or a failure in words. No exceptions cross this library's
// edge.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace troupe::wire {

enum class fault {
  address,    // not an address, or the name does not resolve
  connect,    // nobody listens there, or no route
  tls,        // handshake or certificate
  timed_out,  // the deadline passed
  closed,     // the peer ended the connection too early, or this side was closed
  protocol,   // the peer does not speak the protocol
  too_large,  // a limit of ours
  refused,    // a WebSocket was refused: `status` says with what
};

// What was tried, on what, why it failed, and what to do where that is known: `text` is fit for a person.
struct failure {
  fault kind = fault::closed;
  std::string text;
  int status = 0;         // of the refusal, fault::refused only
  std::string body = {};  // of the refusal, at most 64 KiB
};

template <class T>
class [[nodiscard]] result {
 public:
  // A failure without words: what Asio passes beside an exception.
  result() : held_(std::in_place_index<1>) {}
  result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  result(failure f) : held_(std::in_place_index<1>, std::move(f)) {}

  explicit operator bool() const { return held_.index() == 0; }

  // Undefined when there is none: test first.
  T& value() { return *std::get_if<0>(&held_); }
  const T& value() const { return *std::get_if<0>(&held_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const failure& error() const { return *std::get_if<1>(&held_); }

 private:
  std::variant<T, failure> held_;
};

}  // namespace troupe::wire
