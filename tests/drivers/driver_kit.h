// The real daemon on a unix socket, and stand-ins for the host that record what drivers report.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "drivers/daemon/daemon_client.h"
#include "runtime/effect.h"
#include "tests/drivers/agent_pipes.h"

namespace troupe::test {

// `sandboxd serve` of its own, killed with the object. Its agents keep their sessions below its folder.
class real_daemon {
 public:
  explicit real_daemon(std::vector<std::string> more = {});
  ~real_daemon();
  void stop();   // SIGKILL
  void start();  // again, on the same state
  drivers::daemon_address address() const;

 private:
  scratch_folder box_;
  std::vector<std::string> more_;
  pid_t pid_ = -1;
};

// Two threads of an event loop with a client, as the server has them.
class loop {
 public:
  loop();
  ~loop();
  wire::executor ex() { return context_.get_executor(); }
  wire::client& http() { return *http_; }

 private:
  wire::asio::io_context context_;
  std::unique_ptr<wire::client> http_;
  std::optional<wire::asio::executor_work_guard<wire::asio::io_context::executor_type>> work_;
  std::vector<std::thread> threads_;
};

class recorded_effect : public effect_run {
 public:
  recorded_effect(std::string id, json body, bool resumed = false, std::string actor = "org/acme/task/t1");
  const key& actor() const override { return actor_; }
  const std::string& id() const override { return id_; }
  int attempt() const override { return resumed_ ? 2 : 1; }
  bool resumed() const override { return resumed_; }
  const json& body() const override { return body_; }
  const std::string& principal() const override { return principal_; }
  std::chrono::steady_clock::time_point deadline() const override { return deadline_; }
  void on_cancel(std::function<void()>) override;
  void succeed(json result) override;
  void fail(problem why, bool again) override;

  void cancel();
  void deadline_in(std::chrono::milliseconds time) { deadline_ = std::chrono::steady_clock::now() + time; }
  // Waits at most 30 s for the outcome.
  json result();      // fails the test when it is a problem
  problem trouble();  // fails the test when it is a result
  bool again() const { return again_; }
  bool reported();

 private:
  void wait();

  const key actor_;
  const std::string id_, principal_ = "ada";
  const json body_;
  const bool resumed_;
  std::chrono::steady_clock::time_point deadline_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> on_cancel_;
  std::optional<json> result_;
  std::optional<problem> problem_;
  bool again_ = false;
};

class recorded_feed : public feed_run {
 public:
  recorded_feed(json body, std::string position = "");
  const key& actor() const override { return actor_; }
  const std::string& id() const override { return id_; }
  const json& body() const override { return body_; }
  const std::string& principal() const override { return id_; }
  std::string position() const override;
  void deliver(std::string position, json entries, std::function<void()> committed) override;
  void end(json result) override;
  void fail(problem why) override;
  void on_stop(std::function<void()>) override;

  void stop();
  void hold(bool on);  // while true batches are not committed
  // Waits at most 30 s until an entry for which `wanted` holds was committed or delivered.
  json wait_for(const std::function<bool(const json&)>& wanted);
  problem wait_failed();
  std::vector<json> entries();
  std::size_t largest_batch();
  bool overlapped();  // true when a batch came before the one before was committed

 private:
  const key actor_{"org/acme/task/t1/session/s1"};
  const std::string id_ = "feed";
  const json body_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string position_;
  std::vector<json> entries_;
  std::size_t largest_ = 0;
  bool hold_ = false, pending_ = false, overlapped_ = false, stopped_ = false;
  std::string held_position_;
  std::function<void()> held_;
  std::function<void()> on_stop_;
  std::optional<problem> problem_;
};

// The effect kind of that name, started with the body.
std::shared_ptr<recorded_effect> start(const std::vector<effect_kind>& kinds, const std::string& name,
                                       std::string id, json body, bool resumed = false);

}  // namespace troupe::test
