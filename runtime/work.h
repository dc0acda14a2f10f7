// The effects and feeds of one awake actor: which run, which wait, what came of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/alarms.h"
#include "runtime/message.h"

namespace troupe {

struct effect_row {
  std::string id;
  std::uint64_t number = 0;
  std::string kind, resource, then, principal;
  json body, context;
  int attempt = 1;
  /// Wall clock, milliseconds; 0: cancelled.
  std::int64_t deadline = 0;
};

struct feed_row {
  std::string id, kind, on_batch, on_end, principal, position;
  json body, context;
};

class effect_attempt;
class feed_attempt;

/// Where outcomes and batches go; any thread. Keeps the actor's cell from being named by drivers.
class work_sink {
 public:
  virtual ~work_sink() = default;
  virtual void arrive(outcome_item) = 0;
  virtual void arrive(batch_item) = 0;
  virtual void arrive(feed_end_item) = 0;
  /// Runs f in a stretch of the actor, if it is still awake.
  virtual void later(std::function<void()> f) = 0;
};

/// Used by the actor's stretches alone. Only durable rows stand here.
class work {
 public:
  struct drivers {
    const std::map<std::string, effect_kind, std::less<>>& effects;
    const std::map<std::string, feed_kind, std::less<>>& feeds;
    alarms& alarm;
    const clock& time;
    std::size_t at_once;
  };
  work(const key& self, drivers, std::shared_ptr<work_sink>);
  ~work();

  /// `resumed`: it may have begun before this process.
  void add(effect_row, bool resumed);
  void add(feed_row);
  void cancel(const std::string& effect);
  void stop(const std::string& feed);

  const effect_row* find(const std::string& effect) const;
  const feed_row* find_feed(const std::string& feed) const;
  /// The outcome of this attempt is durable: makes room for the next.
  void done(const std::string& effect);
  void ended(const std::string& feed);
  void advanced(const std::string& feed, std::string position);
  /// Starts what may start.
  void pump();

  bool empty() const { return effects_.empty() && feeds_.empty(); }
  std::size_t effects() const { return effects_.size(); }
  std::size_t feeds() const { return feeds_.size(); }
  const drivers& services() const { return drivers_; }
  std::size_t running() const;

 private:
  struct open_effect {
    effect_row row;
    bool resumed = false;
    bool waiting_to_retry = false;
    std::shared_ptr<effect_attempt> run;
    /// The deadline of `run`.
    std::optional<alarms::ticket> ends;
  };
  struct open_feed {
    feed_row row;
    std::shared_ptr<feed_attempt> run;
  };
  void start(open_effect&);
  void retry(const std::string& id, int attempt, problem why);
  void expire(const std::string& id, int attempt);
  /// Whether or not it ended by its deadline: the alarm for that holds nothing any more.
  void forget_deadline(open_effect&);

  const key self_;
  const drivers drivers_;
  const std::shared_ptr<work_sink> sink_;
  /// In the order they were asked for.
  std::map<std::uint64_t, open_effect> effects_;
  std::map<std::string, std::uint64_t> number_of_;
  std::map<std::string, open_feed> feeds_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace troupe
