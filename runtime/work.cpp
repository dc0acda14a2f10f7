#include "runtime/work.h"

#include <algorithm>
#include <mutex>

#include "runtime/pause.h"

namespace troupe {
// One attempt. Ends once: with the driver's word, a cancel, the deadline, or by being dropped.
class effect_attempt final : public effect_run {
 public:
  effect_attempt(key actor, const effect_row& row, bool resumed, bool may_retry,
                 std::chrono::steady_clock::time_point deadline, std::shared_ptr<work_sink> sink,
                 std::function<void(problem)> again)
      : actor_(std::move(actor)),
        row_(row),
        resumed_(resumed),
        may_retry_(may_retry),
        deadline_(deadline),
        sink_(std::move(sink)),
        again_(std::move(again)) {}

  const key& actor() const override { return actor_; }
  const std::string& id() const override { return row_.id; }
  int attempt() const override { return row_.attempt; }
  bool resumed() const override { return resumed_; }
  const json& body() const override { return row_.body; }
  const std::string& principal() const override { return row_.principal; }
  std::chrono::steady_clock::time_point deadline() const override { return deadline_; }

  void on_cancel(std::function<void()> f) override {
    {
      std::lock_guard lock(mutex_);
      if (!cancelled_) {
        on_cancel_ = std::move(f);
        return;
      }
    }
    f();
  }

  void succeed(json result) override { finish(answer(std::move(result))); }

  void fail(problem why, bool again) override {
    if (!again || !may_retry_) return finish(answer(std::move(why)));
    if (!end()) return;
    sink_->later([f = again_, why = std::move(why)] { f(why); });
  }

  void finish(answer is) {
    if (end()) sink_->arrive(outcome_item{row_.id, row_.attempt, std::move(is)});
  }

  /// Tells the driver. `report` also ends the attempt with that outcome.
  void cancel(std::optional<problem> report) {
    std::function<void()> f;
    {
      std::lock_guard lock(mutex_);
      if (cancelled_) return;
      cancelled_ = true;
      f = std::move(on_cancel_);
    }
    if (report)
      finish(answer(std::move(*report)));
    else
      end();
    if (f) f();
  }

 private:
  bool end() {
    std::lock_guard lock(mutex_);
    return !std::exchange(ended_, true);
  }

  const key actor_;
  const effect_row row_;
  const bool resumed_, may_retry_;
  const std::chrono::steady_clock::time_point deadline_;
  const std::shared_ptr<work_sink> sink_;
  const std::function<void(problem)> again_;
  std::mutex mutex_;
  bool ended_ = false, cancelled_ = false;
  std::function<void()> on_cancel_;
};

namespace {

// What the driver holds. Its last copy going away without a word is an outcome too.
class held_effect final : public effect_run {
 public:
  explicit held_effect(std::shared_ptr<effect_attempt> is) : is_(std::move(is)) {}
  ~held_effect() override {
    is_->finish(problem{500, "dropped",
                        "the driver of the effect ended without an outcome; this is a defect of the driver"});
  }
  const key& actor() const override { return is_->actor(); }
  const std::string& id() const override { return is_->id(); }
  int attempt() const override { return is_->attempt(); }
  bool resumed() const override { return is_->resumed(); }
  const json& body() const override { return is_->body(); }
  const std::string& principal() const override { return is_->principal(); }
  std::chrono::steady_clock::time_point deadline() const override { return is_->deadline(); }
  void on_cancel(std::function<void()> f) override { is_->on_cancel(std::move(f)); }
  void succeed(json result) override { is_->succeed(std::move(result)); }
  void fail(problem why, bool again) override { is_->fail(std::move(why), again); }

 private:
  std::shared_ptr<effect_attempt> is_;
};

}  // namespace

class feed_attempt final : public feed_run {
 public:
  feed_attempt(key actor, const feed_row& row, std::shared_ptr<work_sink> sink)
      : actor_(std::move(actor)), row_(row), position_(row.position), sink_(std::move(sink)) {}

  const key& actor() const override { return actor_; }
  const std::string& id() const override { return row_.id; }
  const json& body() const override { return row_.body; }
  const std::string& principal() const override { return row_.principal; }
  std::string position() const override {
    std::lock_guard lock(mutex_);
    return position_;
  }

  void deliver(std::string position, json entries, std::function<void()> committed) override {
    {
      std::lock_guard lock(mutex_);
      if (ended_) return;
    }
    sink_->arrive(batch_item{row_.id, std::move(position), std::move(entries), std::move(committed)});
  }
  void end(json result) override { finish(answer(std::move(result))); }
  void fail(problem why) override { finish(answer(std::move(why))); }

  void on_stop(std::function<void()> f) override {
    {
      std::lock_guard lock(mutex_);
      if (!stopped_) {
        on_stop_ = std::move(f);
        return;
      }
    }
    f();
  }

  void advanced(std::string position) {
    std::lock_guard lock(mutex_);
    position_ = std::move(position);
  }

  void stop() {
    std::function<void()> f;
    {
      std::lock_guard lock(mutex_);
      if (stopped_) return;
      stopped_ = ended_ = true;
      f = std::move(on_stop_);
    }
    if (f) f();
  }

 private:
  void finish(answer is) {
    {
      std::lock_guard lock(mutex_);
      if (std::exchange(ended_, true)) return;
    }
    sink_->arrive(feed_end_item{row_.id, std::move(is)});
  }

  const key actor_;
  const feed_row row_;
  mutable std::mutex mutex_;
  std::string position_;
  const std::shared_ptr<work_sink> sink_;
  bool ended_ = false, stopped_ = false;
  std::function<void()> on_stop_;
};

work::work(const key& self, drivers d, std::shared_ptr<work_sink> sink)
    : self_(self), drivers_(d), sink_(std::move(sink)) {}

work::~work() {
  *alive_ = false;
  for (auto& [n, e] : effects_) {
    forget_deadline(e);
    if (e.run) e.run->cancel(std::nullopt);
  }
  for (auto& [id, f] : feeds_) {
    if (f.run) f.run->stop();
  }
}

void work::add(effect_row row, bool resumed) {
  number_of_[row.id] = row.number;
  const auto number = row.number;
  effects_[number] = open_effect{std::move(row), resumed, false, nullptr, {}};
}

void work::add(feed_row row) {
  const auto id = row.id;
  feeds_[id] = open_feed{std::move(row), nullptr};
}

void work::cancel(const std::string& id) {
  const auto it = number_of_.find(id);
  if (it == number_of_.end()) return;
  auto& e = effects_[it->second];
  const problem why{409, "cancelled", "the effect was cancelled"};
  e.row.deadline = 0;
  if (e.run) {
    e.run->cancel(why);
  } else {
    e.waiting_to_retry = true;
    sink_->arrive(outcome_item{id, e.row.attempt, why});
  }
}

void work::stop(const std::string& id) {
  if (auto node = feeds_.extract(id); node && node.mapped().run) node.mapped().run->stop();
}

const effect_row* work::find(const std::string& id) const {
  const auto it = number_of_.find(id);
  return it == number_of_.end() ? nullptr : &effects_.at(it->second).row;
}

const feed_row* work::find_feed(const std::string& id) const {
  const auto it = feeds_.find(id);
  return it == feeds_.end() ? nullptr : &it->second.row;
}

void work::done(const std::string& id) {
  const auto it = number_of_.find(id);
  if (it == number_of_.end()) return;
  forget_deadline(effects_.at(it->second));
  effects_.erase(it->second);
  number_of_.erase(it);
}

void work::ended(const std::string& id) {
  feeds_.erase(id);
}

void work::advanced(const std::string& id, std::string position) {
  const auto it = feeds_.find(id);
  if (it == feeds_.end()) return;
  it->second.row.position = position;
  if (it->second.run) it->second.run->advanced(std::move(position));
}

std::size_t work::running() const {
  return std::ranges::count_if(effects_, [](const auto& e) { return e.second.run != nullptr; });
}

void work::pump() {
  std::set<std::string> busy;
  std::size_t free_running = 0;
  for (const auto& [n, e] : effects_) {
    if (e.run && e.row.resource.empty()) ++free_running;
  }
  // In order: the first of a resource runs or holds back those behind it, retries included.
  for (auto& [n, e] : effects_) {
    if (!e.row.resource.empty() && !busy.insert(e.row.resource).second) continue;
    if (e.run || e.waiting_to_retry) continue;
    if (e.row.resource.empty()) {
      if (free_running >= drivers_.at_once) continue;
      ++free_running;
    }
    start(e);
  }
  for (auto& [id, f] : feeds_) {
    if (f.run) continue;
    f.run = std::make_shared<feed_attempt>(self_, f.row, sink_);
    const auto driver = drivers_.feeds.find(f.row.kind);
    if (driver == drivers_.feeds.end()) {
      f.run->fail(unprocessable("no_driver", "no driver is registered for feeds of kind " + f.row.kind));
    } else {
      driver->second.start(f.run);
    }
  }
}

void work::start(open_effect& e) {
  const auto driver = drivers_.effects.find(e.row.kind);
  const auto left = std::chrono::milliseconds(e.row.deadline - to_ms(drivers_.time.now()));
  const auto attempts = driver == drivers_.effects.end() ? 1 : driver->second.max_attempts;
  const auto id = e.row.id;
  const auto attempt = e.row.attempt;
  e.run = std::make_shared<effect_attempt>(self_, e.row, e.resumed, attempt < attempts,
                                           drivers_.time.steady() + left, sink_,
                                           [this, alive = alive_, id, attempt](problem why) {
                                             if (*alive) retry(id, attempt, std::move(why));
                                           });
  if (driver == drivers_.effects.end()) {
    return e.run->finish(
        unprocessable("no_driver", "no driver is registered for effects of kind " + e.row.kind));
  }
  if (e.row.deadline == 0) return e.run->finish(problem{409, "cancelled", "the effect was cancelled"});
  if (e.resumed && driver->second.policy == after_restart::interrupted) {
    return e.run->finish(
        problem{503, "interrupted", "the server went down while " + e.row.kind + " was in progress"});
  }
  if (left.count() <= 0) return expire(id, attempt);
  e.ends = drivers_.alarm.after(left, [sink = sink_, this, alive = alive_, id, attempt] {
    sink->later([this, alive, id, attempt] {
      if (*alive) expire(id, attempt);
    });
  });
  const auto run = e.run;
  try {
    driver->second.start(std::make_shared<held_effect>(run));
  } catch (const std::exception& why) {
    run->finish(problem{500, "driver_failed", e.row.kind + ": " + why.what()});
  }
}

void work::retry(const std::string& id, int attempt, problem why) {
  const auto it = number_of_.find(id);
  if (it == number_of_.end()) return;
  auto& e = effects_[it->second];
  if (e.row.attempt != attempt) return;
  forget_deadline(e);
  e.run.reset();
  e.resumed = true;
  ++e.row.attempt;
  const auto pause = std::min(longest_pause, first_pause * (1 << std::min(attempt - 1, 9)));
  if (to_ms(drivers_.time.now() + pause) >= e.row.deadline) {
    e.waiting_to_retry = true;
    return sink_->arrive(outcome_item{id, e.row.attempt, std::move(why)});
  }
  e.waiting_to_retry = true;
  drivers_.alarm.after(pause, [sink = sink_, this, alive = alive_, id] {
    sink->later([this, alive, id] {
      if (!*alive) return;
      const auto at = number_of_.find(id);
      if (at == number_of_.end() || effects_[at->second].row.deadline == 0) return;
      effects_[at->second].waiting_to_retry = false;
      pump();
    });
  });
}

void work::forget_deadline(open_effect& e) {
  if (auto t = std::exchange(e.ends, std::nullopt)) drivers_.alarm.cancel(*t);
}

void work::expire(const std::string& id, int attempt) {
  const auto it = number_of_.find(id);
  if (it == number_of_.end()) return;
  auto& e = effects_[it->second];
  if (e.row.attempt != attempt || !e.run) return;
  e.run->cancel(problem{504, "deadline", "the effect " + e.row.kind + " did not end within its deadline"});
}

}  // namespace troupe
