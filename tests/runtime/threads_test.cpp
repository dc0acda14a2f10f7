// The laws that only real threads can break. CAF runs the actors here.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "tests/runtime/world.h"

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

constexpr auto patience = 60s;

host_options options(const std::filesystem::path& data) {
  host_options o;
  o.data = data;
  o.kinds = {&bank_kind(), &account_kind()};
  o.sync = storage::durability::normal;
  return o;
}

reply as_host(host& h, const std::string& to, const std::string& name, json body, const std::string& id,
              bool create) {
  std::promise<reply> got;
  h.command_as_host(
      key(to), name, std::move(body), id, [&](reply r) { got.set_value(std::move(r)); }, create);
  return got.get_future().get();
}

std::string account(int i) {
  return "bank/b/account/a" + std::to_string(i);
}

std::int64_t amount(host& h, int i) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto r =
        h.ask({.to = key(account(i)), .name = "account.read", .body = json::object(), .principal = "ada"});
    if (r.ok()) return r.result()["amount"].get<std::int64_t>();
    if (std::chrono::steady_clock::now() > until) {
      FAIL(json(r.error()).dump());
      return -1;
    }
    std::this_thread::yield();
  }
}

void open(host& h, int accounts) {
  as_host(h, "bank/b", "bank.open", json::object(), "open", true);
  for (int i = 0; i < accounts; ++i) {
    const auto name = "a" + std::to_string(i);
    as_host(h, "bank/b", "bank.make", {{"account", name}, {"amount", 1000}}, name, false);
  }
  // The children come to be behind the answers.
  for (int i = 0; i < accounts; ++i) amount(h, i);
}

/// Asks until the sum of all accounts is what it should be, or patience ends.
std::int64_t settled_total(host& h, int accounts, std::int64_t wanted) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (;;) {
    std::int64_t sum = 0;
    for (int i = 0; i < accounts; ++i) sum += amount(h, i);
    if (sum == wanted || std::chrono::steady_clock::now() > until) return sum;
    std::this_thread::yield();
  }
}

}  // namespace

TEST_CASE("one command id from ten clients at once applies once, and all get the same answer") {
  folder data;
  host h(options(data.path() / "d"));
  h.start();
  open(h, 1);
  std::vector<std::thread> clients;
  std::mutex m;
  std::vector<reply> got;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back([&] {
      auto r = h.call({.to = key(account(0)),
                       .id = "same",
                       .name = "account.deposit",
                       .body = {{"amount", 5}},
                       .principal = "ada"});
      std::lock_guard lock(m);
      got.push_back(std::move(r));
    });
  }
  for (auto& t : clients) t.join();
  for (const auto& r : got) {
    REQUIRE(r.ok());
    CHECK(r.result() == got[0].result());
  }
  CHECK(amount(h, 0) == 1005);
}

TEST_CASE("payments from many threads conserve the total while actors fall asleep and wake") {
  constexpr int accounts = 8, threads = 4, payments = 150;
  folder data;
  auto o = options(data.path() / "d");
  o.limits.idle_before_sleep = 1ms;
  host h(std::move(o));
  h.start();
  open(h, accounts);
  std::vector<std::thread> clients;
  std::atomic<int> answered = 0;
  for (int t = 0; t < threads; ++t) {
    clients.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < payments; ++i) {
        const int from = static_cast<int>(random() % accounts), to = static_cast<int>(random() % accounts);
        if (from == to) continue;
        h.call({.to = key(account(from)),
                .id = std::to_string(t) + "-" + std::to_string(i),
                .name = "account.pay",
                .body = {{"to", "a" + std::to_string(to)}, {"amount", 1 + random() % 10}},
                .principal = "ada"});
        ++answered;
        if (i % 10 == 0) h.sleep_now(key(account(to)));
      }
    });
  }
  for (auto& t : clients) t.join();
  CHECK(answered > 0);
  CHECK(settled_total(h, accounts, 1000 * accounts) == 1000 * accounts);
}

TEST_CASE("a subscriber that takes its time delays no command, and sees the last revision once writes stop") {
  class sleepy final : public subscriber {
   public:
    void on_snapshot(snapshot_ptr f) override {
      std::lock_guard lock(m);
      last = std::move(f);
      seen.notify_all();
    }
    std::mutex m;
    std::condition_variable seen;
    snapshot_ptr last;
  };
  folder data;
  host h(options(data.path() / "d"));
  h.start();
  open(h, 1);
  const auto who = std::make_shared<sleepy>();
  const auto s = h.subscribe(key(account(0)), std::nullopt, "ada", who, [](auto) {});
  reply last;
  for (int i = 0; i < 200; ++i) {
    last = h.call({.to = key(account(0)),
                   .id = std::to_string(i),
                   .name = "account.deposit",
                   .body = {{"amount", 1}},
                   .principal = "ada"});
    REQUIRE(last.ok());
  }
  std::unique_lock lock(who->m);
  CHECK(who->seen.wait_for(lock, patience, [&] { return who->last && who->last->at == last.at; }));
}

TEST_CASE("a stop in the middle of work answers everyone, and what was acknowledged is there afterwards") {
  folder data;
  int acknowledged = 0;
  {
    host h(options(data.path() / "d"));
    h.start();
    open(h, 1);
    std::atomic<int> ok = 0, all = 0;
    std::vector<std::thread> clients;
    for (int t = 0; t < 4; ++t) {
      clients.emplace_back([&, t] {
        for (int i = 0; i < 10'000; ++i) {
          const auto r = h.call({.to = key(account(0)),
                                 .id = std::to_string(t) + "-" + std::to_string(i),
                                 .name = "account.deposit",
                                 .body = {{"amount", 1}},
                                 .principal = "ada"});
          ++all;
          if (!r.ok()) break;
          ++ok;
        }
      });
    }
    while (ok < 50) std::this_thread::yield();
    h.stop();
    for (auto& t : clients) t.join();
    acknowledged = ok;
  }
  host h(options(data.path() / "d"));
  h.start();
  CHECK(amount(h, 0) >= 1000 + acknowledged);
  CHECK(amount(h, 0) <= 1000 + acknowledged + 4);
}

TEST_CASE("a blocking call ends with its timeout when the gate never completes") {
  class shut final : public durability_gate {
   public:
    void durable(const key&, std::uint64_t, std::function<void(bool)> done) override {
      kept.push_back(std::move(done));
    }
    std::vector<std::function<void(bool)>> kept;
  } gate;
  folder data;
  auto o = options(data.path() / "data");
  o.gate = &gate;
  host h(std::move(o));
  h.start();
  h.command_as_host(
      key("bank/b"), "bank.open", json::object(), "open", [](reply) {}, true);
  const auto r = h.call({.to = key("bank/b"),
                         .id = "1",
                         .name = "bank.make",
                         .body = {{"account", "a"}, {"amount", 1}},
                         .principal = "ada",
                         .timeout = 100ms});
  REQUIRE(!r.ok());
  CHECK(r.error().code == "timed_out");
  h.stop();
}

TEST_CASE("a file below an actor in a folder of no kind is no actor, whatever its name") {
  folder data;
  auto o = options(data.path() / "data");
  host h(std::move(o));
  h.start();
  as_host(h, "bank/b", "bank.open", json::object(), "open", true);
  const auto planted = data.path() / "data/bank/b/files/x/account/evil";
  std::filesystem::create_directories(planted);
  std::filesystem::copy_file(data.path() / "data/bank/b/actor.sqlite", planted / "actor.sqlite");
  const auto r = h.call({.to = key("bank/b/files/x/account/evil"),
                         .id = "1",
                         .name = "account.deposit",
                         .body = {{"amount", 1}},
                         .principal = "ada"});
  REQUIRE(!r.ok());
  CHECK(r.error().status == 404);
  CHECK(std::filesystem::file_size(planted / "actor.sqlite") > 0);
  h.stop();
}
