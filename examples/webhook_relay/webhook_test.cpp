#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include <doctest/doctest.h>

#include "net/wire/server.h"
#include "runtime/host.h"
#include "webhook_relay/relay.h"

using namespace troupe;

namespace {

/// Answers one status after the other, then 204; keeps the keys that it was asked with.
class receiver {
 public:
  explicit receiver(std::vector<int> statuses)
      : statuses_(std::move(statuses)), server_(loop_.get_executor(), service()) {
    const auto bound = server_.listen("127.0.0.1", 0);
    REQUIRE(bound);
    url = "http://127.0.0.1:" + std::to_string(bound->port) + "/hook";
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~receiver() {
    loop_.stop();
    thread_.join();
  }
  std::vector<std::string> keys() {
    std::lock_guard lock(mutex_);
    return keys_;
  }
  std::string url;

 private:
  wire::service service() {
    return {.handle = [this](wire::exchange& ex) { return answer(ex); }};
  }
  wire::asio::awaitable<void> answer(wire::exchange& ex) {
    int status = 204;
    {
      std::lock_guard lock(mutex_);
      keys_.emplace_back(ex.request().headers.find("Idempotency-Key").value_or(""));
      if (keys_.size() <= statuses_.size()) status = statuses_[keys_.size() - 1];
    }
    auto r = wire::response::empty(status);
    co_await ex.reply(std::move(r));
  }

  std::mutex mutex_;
  std::vector<int> statuses_;
  std::vector<std::string> keys_;
  wire::asio::io_context loop_;
  wire::server server_;
  std::thread thread_;
};

/// Waits until no delivery of a relay waits any more.
class settled final : public subscriber {
 public:
  void on_snapshot(snapshot_ptr frame) override {
    std::lock_guard lock(mutex_);
    state_ = json::parse(frame->data);
    changed_.notify_all();
  }
  json deliveries() {
    std::unique_lock lock(mutex_);
    const auto is = [&] {
      return state_.is_object() && !state_["deliveries"].empty() && state_["waiting"] == 0;
    };
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(60), is));
    return state_["deliveries"];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  json state_;
};

json relayed_to(const std::string& url) {
  std::string data = (std::filesystem::temp_directory_path() / "relay-XXXXXX").string();
  REQUIRE(::mkdtemp(data.data()));
  json deliveries;
  {
    host h({.data = data, .kinds = {&relay::relay()}, .effects = {relay::webhook()}});
    h.start();
    const key mine("relay/mine");
    REQUIRE(h.call_as_host(mine, "relay.open", json::object(), "open", /*create=*/true).ok());
    REQUIRE(h.call({.to = mine,
                    .id = "1",
                    .name = "relay.deliver",
                    .body = {{"url", url}, {"body", {{"n", 1}}}},
                    .principal = "ada"})
                .ok());
    const auto all = std::make_shared<settled>();
    const auto watching = h.subscribe(mine, std::nullopt, "ada", all, [](std::optional<problem>) {});
    deliveries = all->deliveries();
  }
  std::filesystem::remove_all(data);
  return deliveries;
}

}  // namespace

TEST_CASE("a receiver that is down for a while gets each webhook in the end, by the same key") {
  receiver there({503, 429});
  CHECK(relayed_to(there.url)[0]["state"] == "delivered");
  const auto keys = there.keys();
  REQUIRE(keys.size() == 3);
  CHECK(!keys[0].empty());
  CHECK(keys[1] == keys[0]);
  CHECK(keys[2] == keys[0]);
}

TEST_CASE("a receiver that refuses is asked once") {
  receiver there({404});
  const auto d = relayed_to(there.url)[0];
  CHECK(d["state"] == "given up");
  CHECK(d["error"] == there.url + " answered 404");
  CHECK(there.keys().size() == 1);
}

TEST_CASE("a receiver that never answers well is given up after five attempts") {
  receiver there({500, 500, 500, 500, 500, 500});
  CHECK(relayed_to(there.url)[0]["state"] == "given up");
  CHECK(there.keys().size() == 5);
}
