// Method and path pattern to handler.
//
// Patterns: "/v1/acp/{id}", "/v1/actors/{key...}/commands/{name}", "/ui/{rest...}". `{name}` takes one
// segment,
// `{name...}` one or more with their slashes. Matching is on the encoded path, so %2F in a segment never
// splits it. A pattern with more literal text before its first parameter goes first, then the one that was
// added first; a trailing slash is part of a path. HEAD uses GET's handler.
//
// Filled before the server starts, read-only afterwards: then any thread may match.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/wire/server.h"

namespace troupe::wire {

struct route_options {
  std::size_t max_body = 0;  // 0: the server's default
  bool streamed_body = false;
};

class router {
 public:
  // Runs for paths that match with another method: the methods that would do, sorted, HEAD beside GET.
  using wrong_method =
      std::function<asio::awaitable<void>(exchange&, const std::vector<std::string>& allowed)>;

  router();
  ~router();
  router(router&&) noexcept;
  router& operator=(router&&) noexcept;

  // A pattern that is not one is a fault of the program: throws std::invalid_argument.
  void on(std::string_view method, std::string_view pattern, handler h, route_options options = {});

  // Method and pattern of each that was added.
  std::vector<std::pair<std::string, std::string>> routes() const;

  // Defaults: 404 and 405 (with Allow) as problems.
  void on_unknown(handler h);
  void on_wrong_method(wrong_method h);

  // What runs before each matched handler; false: it has answered and the handler does not run (tokens, Host,
  // Origin).
  void before(std::function<asio::awaitable<bool>(exchange&)> check);

  asio::awaitable<void> handle(exchange& ex) const;

  // Shares this router's table: the router may go away afterwards.
  wire::service service() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::wire
