// What the routes and connections of one gateway share. Private to this folder. Thread-safe.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include <boost/asio/thread_pool.hpp>

#include "net/gateway/backup_job.h"
#include "net/gateway/frame_cache.h"
#include "net/gateway/gateway.h"
#include "net/gateway/metrics.h"
#include "net/gateway/throttle.h"
#include "net/gateway/wake_group.h"
#include "net/wire/router.h"
#include "runtime/inspect.h"

namespace troupe::gateway {

namespace asio = wire::asio;

// Below it compression saves nothing worth its time.
inline constexpr std::size_t compressed_from = 8 * 1024;

struct caller {
  principal who;
  std::string handle;
};

using caller_handler = std::function<asio::awaitable<void>(wire::exchange&, const caller&)>;

// Something that stays open: a WebSocket or an event stream. Told when what people may do has changed, and
// when the gateway stops. Both are called from any thread and return at once.
class open_connection {
 public:
  virtual ~open_connection() = default;
  virtual void recheck() = 0;
};

class context : public std::enable_shared_from_this<context> {
 public:
  // Inspection blocks on files; two threads bound how much of the disk it can keep busy.
  static constexpr unsigned inspection_threads = 2;

  context(wire::executor ex, host& h, authenticator& people, gateway_options options);

  // Who asks; nothing when there is no proof or a wrong one.
  std::optional<caller> identify(const wire::request&) const;
  // Runs `h` for who is known, answers 401 for who is not.
  wire::handler for_people(caller_handler h);

  // What a trusted proxy says of its client becomes the request's; then Host and Origin: false when it has
  // answered. Before every route.
  asio::awaitable<bool> admit(wire::exchange&);
  bool origin_allowed(const wire::request&) const;
  // Counts the answer, and lets an allowed page of another site read it.
  asio::awaitable<void> reply(wire::exchange&, wire::response);
  asio::awaitable<void> refuse(wire::exchange&, problem why, std::string instance);
  // 401, or 429 for an address that was wrong too often. Counts a proof that was given and is wrong.
  problem not_known(const wire::request&);

  // A connection's place, or nothing when the principal has too many.
  class seat;
  std::shared_ptr<seat> take_seat(const std::string& user);
  void join(std::weak_ptr<open_connection>);
  void recheck_all();

  // Whether `k` exists now, after asking the materializer for who may see its organization.
  asio::awaitable<bool> brought_about(const key& k, const caller& by);

  void believe_proxy(wire::request&) const;
  std::string next_connection_id();
  std::shared_ptr<wake_group> group_of(const wire::executor& strand) const;

  const wire::executor executor;
  host& actors;
  authenticator& people;
  const gateway_options options;
  const inspector looking;
  metrics counted;
  throttle guesses;
  backup_job backups;
  frame_cache frames;
  wire::client outgoing;  // to the daemons of sandboxes
  asio::thread_pool blocking{inspection_threads};
  const std::vector<std::shared_ptr<wake_group>> groups;  // one for each strand
  std::vector<std::string> own_names;                     // lower case; set before the server starts

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> seats_;
  std::list<std::weak_ptr<open_connection>> open_;
  std::atomic<std::uint64_t> connections_{0};
};

class context::seat {
 public:
  seat(std::shared_ptr<context> c, std::string user) : context_(std::move(c)), user_(std::move(user)) {}
  ~seat();
  seat(const seat&) = delete;
  seat& operator=(const seat&) = delete;

 private:
  std::shared_ptr<context> context_;
  std::string user_;
};

void compress(wire::response&, std::variant<std::string, wire::shared_bytes> gzipped);

void add_actor_routes(wire::router&, const std::shared_ptr<context>&);
void add_stream_routes(wire::router&, const std::shared_ptr<context>&);
void add_inspect_routes(wire::router&, const std::shared_ptr<context>&);
void add_backup_routes(wire::router&, const std::shared_ptr<context>&);
void add_secret_routes(wire::router&, const std::shared_ptr<context>&);
void add_sandbox_routes(wire::router&, const std::shared_ptr<context>&);
void add_session_routes(wire::router&, const std::shared_ptr<context>&);
void add_contract_routes(wire::router&, const std::shared_ptr<context>&);
void add_page_routes(wire::router&, const std::shared_ptr<context>&);
void add_websocket_route(wire::router&, const std::shared_ptr<context>&);

}  // namespace troupe::gateway
