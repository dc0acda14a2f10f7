// The supervisor's end of a control socket: questions with answers, and events.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "net/wire/asio.h"
#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

inline constexpr std::size_t channel_questions = 4096;           // unanswered at once; beyond it EAGAIN
inline constexpr auto channel_limit = std::chrono::seconds(60);  // for one answer; then ETIMEDOUT

// All calls and callbacks on the executor's one thread. The callbacks are dropped by close() and the
// destructor.
class control_channel {
 public:
  struct answer;
  using event = std::function<void(const nlohmann::json&, std::vector<descriptor>)>;

  control_channel(wire::executor ex, descriptor socket);
  ~control_channel();

  // Begins to read. `on_closed` once, when the other side is gone; every open question has failed by then.
  void start(event on_event, std::function<void()> on_closed);

  // `request` without an id. An answer with "errno" is a failure with its text; ENOTCONN when the other side
  // is gone.
  wire::asio::awaitable<outcome<answer>> ask(nlohmann::json request);
  // Without an answer and without a promise.
  void tell(nlohmann::json request);

  void close();
  bool closed() const;

 private:
  struct impl;
  std::shared_ptr<impl> impl_;
};

}  // namespace troupe::sandboxd
