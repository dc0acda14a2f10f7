// A real host on a temporary folder with the kinds under test, real files, and drivers that the test plays
// itself: each effect that an actor asks for waits until the test takes it and answers. Everything waited for
// has a deadline.
//
//   actor_host h({.kinds = {&actors::organization(), …}, .effects = {"git.probe"}});
//   h.call("org/acme", "org.add_repository", {{"url", "/repo"}});
//   h.effect("git.probe")->succeed({{"default_branch", "main"}, {"empty", false}});
//   h.await("org/acme", [](const json& s) { return s["repositories"][0]["state"] == "ready"; });
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/host.h"

namespace troupe::testing {

/// Wall-clock time that stands still until the test moves it; durations are real, and move along.
class moved_clock : public clock {
 public:
  explicit moved_clock(timestamp start = from_ms(1'800'000'000'000)) : start_(start) {}
  timestamp now() const override { return start_ + moved(); }
  std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::now() + moved();
  }
  void advance(std::chrono::milliseconds by) { moved_ += by.count(); }

 private:
  std::chrono::milliseconds moved() const { return std::chrono::milliseconds(moved_.load()); }

  timestamp start_;
  std::atomic<std::int64_t> moved_{0};
};

class actor_host {
 public:
  struct options {
    std::vector<const kind*> kinds;
    /// Names of effects and feeds that the test answers.
    std::vector<std::string> effects = {};
    std::vector<std::string> feeds = {};
    authorizer authorize = {};
    auditor audit = {};
    clock* time = nullptr;
    /// Time is no part of what these tests say, and machines under sanitizers are slow.
    host_limits limits = {.handler_deadline = std::chrono::seconds(10),
                          .query_deadline = std::chrono::seconds(10)};
  };

  explicit actor_host(options);
  ~actor_host();
  actor_host(const actor_host&) = delete;
  actor_host& operator=(const actor_host&) = delete;

  host& operator*() { return *host_; }
  host* operator->() { return host_.get(); }
  /// Stops the host and starts another on the same folder.
  void restart();

  /// A command with a new id; waits for its answer.
  reply call(std::string_view to, std::string_view name, json body = json::object(),
             std::string principal = "ada");
  reply call_with_id(std::string_view to, std::string_view name, json body, std::string id,
                     std::string principal = "ada");
  reply as_host(std::string_view to, std::string_view name, json body = json::object(), bool create = false);
  reply ask(std::string_view to, std::string_view name, json body = json::object(),
            std::string principal = "ada");

  /// The snapshot as it is now.
  json snapshot(std::string_view of, std::string principal = "ada");
  /// The first snapshot from now on that fits; fails the test with the last one seen when none does in time.
  json await(std::string_view of, const std::function<bool(const json&)>& fits,
             std::chrono::milliseconds timeout = std::chrono::seconds(10));
  /// All entries of a stream as it is now.
  std::vector<json> entries(std::string_view of, std::string_view stream, std::string principal = "ada");
  /// Waits until the stream has an entry that fits.
  json await_entry(std::string_view of, std::string_view stream,
                   const std::function<bool(const json&)>& fits);

  /// The next effect of that kind, in the order asked; waits for it. The test answers it.
  std::shared_ptr<effect_run> effect(std::string_view kind,
                                     std::chrono::milliseconds timeout = std::chrono::seconds(10));
  /// The next feed of that kind.
  std::shared_ptr<feed_run> feed(std::string_view kind,
                                 std::chrono::milliseconds timeout = std::chrono::seconds(10));
  /// How many effects of that kind wait to be taken.
  std::size_t waiting(std::string_view kind);

 private:
  void open();

  options options_;
  std::filesystem::path folder_;
  std::mutex mutex_;
  std::condition_variable asked_;
  std::map<std::string, std::deque<std::shared_ptr<effect_run>>, std::less<>> effects_;
  std::map<std::string, std::deque<std::shared_ptr<feed_run>>, std::less<>> feeds_;
  std::unique_ptr<host> host_;
  int next_id_ = 0;
};

}  // namespace troupe::testing
