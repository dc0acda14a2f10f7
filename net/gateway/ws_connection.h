// One WebSocket client: its subscriptions, its commands and queries, what waits to be sent to it. Private to
// this folder. On the connection's strand unless a method says "any thread".
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <nlohmann/json.hpp>

#include "net/gateway/context.h"
#include "net/gateway/ws_topics.h"
#include "net/wire/signal.h"

namespace troupe::gateway {

inline constexpr const char* ws_protocol = "troupe.v1";

enum ws_close_code : std::uint16_t {
  close_revoked = 4401,
};

class ws_connection final : public open_connection,
                            public woken,
                            public std::enable_shared_from_this<ws_connection> {
 public:
  // How long a revoked connection may take to close before it is cut.
  static constexpr std::chrono::milliseconds revoked_cut_after{500};

  ws_connection(std::shared_ptr<context> c, caller by, wire::websocket socket);

  // Reads until the connection is over.
  asio::awaitable<void> run();
  void recheck() override;  // any thread
  // Sends what there is, as far as the reader takes it.
  void flush() override;

 private:
  asio::awaitable<void> go_on_when_taken();
  asio::awaitable<void> take(const std::string& text);
  void subscribe(const json& message, const std::string& id);
  void unsubscribe(const json& message, const std::string& id);
  void command(const json& message, const std::string& id);
  void query(const json& message, const std::string& id);

  void begin_subscription(std::shared_ptr<topic> t, std::optional<revision_id> have, std::string id,
                          bool again);
  asio::awaitable<void> subscribing(std::shared_ptr<topic> t, std::optional<revision_id> have, std::string id,
                                    bool again);
  std::optional<problem> watch_events(const std::shared_ptr<events_topic>& t);
  // Asks the host by `ask(done)` and sends its reply.
  using question = std::function<void(host::reply_handler)>;
  void answer_to(question ask, key to, std::string id);
  asio::awaitable<void> ask_of_new(question ask, key to, std::string id, reply missing);

  void add_topic(const std::shared_ptr<topic>& t);
  void drop_topic(const std::string& name);
  wire::shared_bytes next_frame();
  void mark(const std::weak_ptr<topic>& t);  // any thread
  void wake();                               // any thread

  void answer(const std::string& id, const reply& r, std::string_view instance);
  void answer_ok(const std::string& id);
  void answer_problem(const std::string& id, const problem& why, std::string_view instance);
  void queue(std::string text);

  // Asks again who this is; false when nobody any more, and the connection is closing.
  bool still_welcome();
  void standing_changed();
  void close_as_revoked();

  std::shared_ptr<context> context_;
  caller by_;
  wire::websocket socket_;
  const std::string id_;
  const std::shared_ptr<wake_group> group_;
  wire::signal room_;  // replies have gone out
  std::deque<std::string> replies_;
  // A subscription keeps its topic, so a topic that kept its subscription would never end.
  struct following {
    std::shared_ptr<topic> to;
    subscription held{};
  };
  std::map<std::string, following> topics_;
  std::size_t in_flight_ = 0;
  bool over_ = false;
  bool untaken_ = false;      // the reader has not taken what was sent last
  bool waiting_ = false;      // for it to do so
  bool streams_turn_ = true;  // a stream that is behind takes turns with snapshots

  std::atomic<bool> woken_{false};  // it is in its group's list
  std::mutex dirty_mutex_;
  std::deque<std::weak_ptr<topic>> dirty_streams_;
  std::deque<std::weak_ptr<topic>> dirty_snapshots_;
};

}  // namespace troupe::gateway
