// Answering requests: the fields that every answer has, and work that is done once and to its end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/wire/server.h"
#include "sandboxd/key_ledger.h"

namespace troupe::sandboxd {

// Cross-origin requests, as configured. No origins: no page of another origin may read an answer.
struct cors_options {
  std::vector<std::string> origins;
  std::vector<std::string> methods;  // empty: any
  std::vector<std::string> headers;  // empty: any
  bool credentials = false;
};

// Sends answers with `vary` and the CORS fields. Immutable.
class responder {
 public:
  explicit responder(cors_options cors) : cors_(std::move(cors)) {}

  wire::asio::awaitable<bool> reply(wire::exchange& to, wire::response answer) const;
  wire::asio::awaitable<bool> begin_stream(wire::exchange& to, int status, wire::headers fields) const;
  wire::asio::awaitable<bool> preflight(wire::exchange& to, const std::vector<std::string>& allowed) const;

 private:
  void add_fields(const wire::request& from, wire::headers& to) const;
  cors_options cors_;
};

// What a piece of work led to. `remember`: false when nothing was done, so that the key stays free.
// `position`: see `remembered`.
struct answer {
  wire::response response;
  std::uint64_t position = 0;
  bool remember = true;
};

using work = std::function<wire::asio::awaitable<answer>()>;

// Does the work and answers the request. The work runs to its end whether or not the peer stays. With an
// `Idempotency-Key` its outcome is kept in the ledger, and a request that comes again gets that outcome.
wire::asio::awaitable<void> do_once(const responder& out, wire::exchange& request,
                                    std::shared_ptr<key_ledger> ledger, work what);

}  // namespace troupe::sandboxd
