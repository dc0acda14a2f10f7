// The server's HTTP side, as commands of the CLI use it. Blocking; one thread.
//
// Every member throws `failure`: for what the server refuses (with its problem details), and for a server
// that does not answer (with what to do about it).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "cli/failure.h"
#include "cli/place_of_server.h"
#include "net/wire/client.h"

namespace troupe::cli {

using nlohmann::json;

class api {
 public:
  static constexpr std::chrono::seconds default_limit{30};

  explicit api(place_of_server place, std::chrono::milliseconds limit = default_limit);

  /// `id` is the idempotency key; empty makes one. The result, not the envelope.
  json command(std::string_view key, std::string_view name, const json& body, std::string id = {});
  json query(std::string_view key, std::string_view name, const json& body);
  json snapshot(std::string_view key);
  /// One page: {first, end, entries: […]}.
  json entries(std::string_view key, std::string_view stream, std::uint64_t after, std::uint64_t limit);

  json get(std::string_view target);
  json send(std::string method, std::string_view target, const json& body, wire::headers fields = {});

  const place_of_server& place() const { return place_; }
  const wire::endpoint& endpoint() const { return endpoint_; }

 private:
  json call(wire::request);

  place_of_server place_;
  wire::endpoint endpoint_;
  std::string prefix_;
  std::chrono::milliseconds limit_;
  wire::blocking_client client_;
};

/// 32 random hexadecimal digits: an id for one intention.
std::string fresh_id();

/// A problem (RFC 9457) in words: title, detail, one line for each violation, and what to do where the code
/// says it.
failure refused(const json& problem);

}  // namespace troupe::cli
