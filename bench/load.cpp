#include "bench/load.h"

#include <future>
#include <thread>

#include <fmt/format.h>

#include "bench/measure.h"

namespace troupe::bench {

key counter_key(int i) {
  return key("counter/c" + std::to_string(i));
}

void open_counters(host& h, int count) {
  std::atomic<int> left = count;
  std::promise<void> all;
  for (int i = 0; i < count; ++i)
    h.command_as_host(
        counter_key(i), "counter.open", json::object(), "open",
        [&](reply r) {
          if (!r.ok()) fmt::print(stderr, "could not make a counter: {}\n", r.error().detail);
          if (--left == 0) all.set_value();
        },
        true);
  all.get_future().wait();
}

load::load(host& h, int actors, int in_flight, double for_seconds) : host_(h), alone_(in_flight == 1) {
  const double begin = seconds();
  until_ = begin + for_seconds;
  under_way_ = in_flight;
  if (alone_) {
    send(0);
  } else {
    for (int i = 0; i < in_flight; ++i) send(i % actors);
    refill();
  }
  std::unique_lock lock(mutex_);
  more_.wait(lock, [&] { return under_way_ == 0; });
  rate = static_cast<double>(answered_) / (seconds() - begin);
  failed = failed_;
}

void load::send(int actor) {
  static std::atomic<std::int64_t> next = 0;
  const double now = seconds();
  host_.command({.to = counter_key(actor),
                 .id = "b-" + std::to_string(++next),
                 .name = "counter.add",
                 .body = {{"n", 1}},
                 .principal = "me"},
                [this, actor, now](const reply& r) { answered(actor, now, r); });
}

void load::answered(int actor, double sent, const reply& r) {
  const double now = seconds();
  if (alone_) {
    r.ok() ? ++answered_ : ++failed_;
    took.push_back(now - sent);
    if (now < until_) return send(actor);
    std::lock_guard lock(mutex_);
    under_way_ = 0;
    return more_.notify_one();
  }
  std::lock_guard lock(mutex_);
  r.ok() ? ++answered_ : ++failed_;
  free_.push_back(actor);
  if (free_.size() == 1) more_.notify_one();
}

void load::refill() {
  std::vector<int> now;
  std::unique_lock lock(mutex_);
  while (under_way_ > 0) {
    more_.wait(lock, [&] { return !free_.empty(); });
    now.swap(free_);
    const bool over = seconds() >= until_;
    if (over) under_way_ -= static_cast<int>(now.size());
    lock.unlock();
    for (const int actor : now) {
      if (!over) send(actor);
    }
    now.clear();
    lock.lock();
  }
}

double pass_along(host& h, double for_seconds) {
  const auto arrived = [&h] {
    const auto frame = h.call({.to = counter_key(1),
                               .id = std::to_string(seconds()),
                               .name = "counter.add",
                               .body = {{"n", 0}},
                               .principal = "me"});
    return frame.result().at("n").get<long>();
  };
  static std::atomic<std::int64_t> next = 0;
  const long before = arrived();
  const double begin = seconds();
  long sent = 0;
  // One after the other: what is measured is the way, not the batching.
  while (seconds() - begin < for_seconds) {
    h.call({.to = counter_key(0),
            .id = "p-" + std::to_string(++next),
            .name = "counter.pass",
            .body = {{"to", counter_key(1).str()}},
            .principal = "me"});
    ++sent;
  }
  while (arrived() < before + sent) std::this_thread::yield();
  return static_cast<double>(sent) / (seconds() - begin);
}

}  // namespace troupe::bench
