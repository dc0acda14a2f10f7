// The effects and the feed as the runtime sees them, over a provider without a world.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include <doctest/doctest.h>

#include "drivers/sandbox/driver.h"
#include "drivers/sandbox/fake_provider.h"

using namespace troupe;
using namespace troupe::drivers;
namespace asio = wire::asio;

namespace {

constexpr auto patience = std::chrono::seconds(20);

class recorded_effect : public effect_run {
 public:
  explicit recorded_effect(json body) : body_(std::move(body)) {}

  const key& actor() const override { return actor_; }
  const std::string& id() const override { return id_; }
  int attempt() const override { return 1; }
  bool resumed() const override { return false; }
  const json& body() const override { return body_; }
  const std::string& principal() const override { return id_; }
  std::chrono::steady_clock::time_point deadline() const override {
    return std::chrono::steady_clock::now() + std::chrono::minutes(1);
  }
  void on_cancel(std::function<void()>) override {}
  void succeed(json given) override { set(std::move(given), {}, false); }
  void fail(problem given, bool retry) override { set(nullptr, std::move(given), retry); }

  bool wait() {
    std::unique_lock lock(mutex_);
    return bell_.wait_for(lock, patience, [&] { return over_; });
  }
  json result;
  std::optional<problem> why;
  bool again = false;

 private:
  void set(json r, std::optional<problem> w, bool a) {
    std::lock_guard lock(mutex_);
    result = std::move(r);
    why = std::move(w);
    again = a;
    over_ = true;
    bell_.notify_all();
  }
  key actor_{"org/acme/sandbox/b1"};
  std::string id_ = "effect-1";
  json body_;
  std::mutex mutex_;
  std::condition_variable bell_;
  bool over_ = false;
};

class recorded_feed : public feed_run {
 public:
  explicit recorded_feed(json body, std::string position = "41")
      : body_(std::move(body)), position_(std::move(position)) {}

  const key& actor() const override { return actor_; }
  const std::string& id() const override { return id_; }
  const json& body() const override { return body_; }
  const std::string& principal() const override { return id_; }
  std::string position() const override { return position_; }
  void deliver(std::string position, json entries, std::function<void()> committed) override {
    std::lock_guard lock(mutex_);
    CHECK(position != position_);
    position_ = std::move(position);
    CHECK_FALSE(waiting_);
    for (auto& entry : entries) got_.push_back(entry);
    waiting_ = std::move(committed);
    bell_.notify_all();
  }
  void end(json) override {}
  void fail(problem why) override {
    std::lock_guard lock(mutex_);
    failed_ = std::move(why);
    bell_.notify_all();
  }
  void on_stop(std::function<void()> f) override { stop_ = std::move(f); }

  bool wait_for_state(const std::string& state) {
    std::unique_lock lock(mutex_);
    return bell_.wait_for(lock, patience, [&] {
      for (const auto& entry : got_)
        if (entry.value("type", "") == "state" && entry.value("state", "") == state) return true;
      return false;
    });
  }
  bool told_state(const std::string& state) {
    std::lock_guard lock(mutex_);
    return std::ranges::any_of(got_, [&](const json& entry) { return entry.value("state", "") == state; });
  }
  void commit() {
    std::function<void()> f;
    {
      std::lock_guard lock(mutex_);
      f = std::exchange(waiting_, nullptr);
    }
    if (f) f();
  }
  std::optional<problem> wait_for_failure() {
    std::unique_lock lock(mutex_);
    bell_.wait_for(lock, patience, [&] { return failed_.has_value(); });
    return failed_;
  }

 private:
  key actor_{"org/acme/sandbox/b1"};
  std::string id_ = "feed-1";
  json body_;
  std::mutex mutex_;
  std::condition_variable bell_;
  std::string position_;
  json got_ = json::array();
  std::function<void()> waiting_;
  std::optional<problem> failed_;
  std::function<void()> stop_;
};

struct world {
  world()
      : work(asio::make_work_guard(io)),
        http(io.get_executor()),
        daemons(http, [](const std::string&) { return std::optional<daemon_address>(); }) {
    thread = std::thread([this] { io.run(); });
    sandbox::options limits;
    limits.watch_every = std::chrono::milliseconds(5);
    kinds = sandbox::effects(io.get_executor(), provider, daemons, nullptr, limits);
    feeds = sandbox::feeds(io.get_executor(), provider, daemons, limits);
  }
  ~world() {
    work.reset();
    io.stop();
    thread.join();
  }
  std::shared_ptr<recorded_effect> run(const std::string& name, json body) {
    auto effect = std::make_shared<recorded_effect>(std::move(body));
    for (auto& kind : kinds)
      if (kind.name == name) kind.start(effect);
    REQUIRE(effect->wait());
    return effect;
  }

  asio::io_context io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  wire::client http;
  daemon_client daemons;
  std::shared_ptr<fake_provider> provider = std::make_shared<fake_provider>();
  std::vector<effect_kind> kinds;
  std::vector<feed_kind> feeds;
  std::thread thread;
};

json create_body() {
  return {{"sandbox", "org/acme/sandbox/b1"}, {"nonce", "n1"}, {"uid", 7}, {"provider", "local"}};
}

}  // namespace

TEST_CASE("every sandbox effect of the contract has its driver") {
  world w;
  for (const char* name :
       {"sandbox.create", "sandbox.pause", "sandbox.resume", "sandbox.kill", "sandbox.start",
        "sandbox.destroy", "sandbox.inspect", "sandbox.run", "sandbox.process", "sandbox.exec"})
    CHECK(std::count_if(w.kinds.begin(), w.kinds.end(), [&](const auto& k) { return k.name == name; }) == 1);
}

TEST_CASE("a sandbox goes through its life by effects alone") {
  world w;
  const auto made = w.run("sandbox.create", create_body());
  REQUIRE_FALSE(made->why);
  const json handle = {{"handle", made->result.at("handle")}};
  CHECK(made->result.at("workspace") == "/workspace");
  CHECK(made->result.contains("tier"));
  CHECK(made->result.at("steps").is_array());
  CHECK(w.run("sandbox.pause", handle)->result.at("state") == "paused");
  CHECK(w.run("sandbox.inspect", handle)->result.at("state") == "paused");
  CHECK(w.run("sandbox.resume", handle)->result.at("state") == "running");
  CHECK(w.run("sandbox.kill", handle)->result.at("state") == "stopped");
  CHECK_FALSE(w.run("sandbox.start", create_body())->why);
  CHECK(
      w.run("sandbox.destroy", {{"sandbox", "org/acme/sandbox/b1"}, {"nonce", "n1"}})->result.at("existed") ==
      true);
  CHECK(
      w.run("sandbox.destroy", {{"sandbox", "org/acme/sandbox/b1"}, {"nonce", "n1"}})->result.at("existed") ==
      false);
  CHECK(w.run("sandbox.inspect", handle)->result.at("state") == "lost");
  CHECK(w.run("sandbox.pause", handle)->why->code == "not_found");
}

TEST_CASE("a failure in transport is tried again, one of the body is not") {
  world w;
  w.provider->script("create", {.failure = transport("no answer")});
  const auto lost = w.run("sandbox.create", create_body());
  REQUIRE(lost->why);
  CHECK(lost->why->code == "transport");
  CHECK(lost->again);
  auto body = create_body();
  body["requirements"] = {{"pids", "many"}};
  const auto odd = w.run("sandbox.create", body);
  REQUIRE(odd->why);
  CHECK(odd->why->code == "invalid");
  CHECK_FALSE(odd->again);
}

TEST_CASE(
    "the feed tells states in order, one batch at a time, and fails with not_found when the sandbox is "
    "gone") {
  world w;
  const auto handle = w.run("sandbox.create", create_body())->result.at("handle").get<std::string>();
  auto feed = std::make_shared<recorded_feed>(json{{"handle", handle}});
  w.feeds.at(0).start(feed);
  REQUIRE(feed->wait_for_state("running"));
  feed->commit();
  // A server that comes back does not tell again what was told.
  auto later = std::make_shared<recorded_feed>(json{{"handle", handle}}, feed->position());
  w.feeds.at(0).start(later);
  w.provider->lose(handle, "for the test");
  REQUIRE(later->wait_for_state("lost"));
  CHECK_FALSE(later->told_state("running"));
  later->commit();
  REQUIRE(feed->wait_for_state("lost"));
  feed->commit();
  const auto why = feed->wait_for_failure();
  REQUIRE(why);
  CHECK(why->code == "not_found");
  CHECK(why->detail.find("for the test") != std::string::npos);
}
