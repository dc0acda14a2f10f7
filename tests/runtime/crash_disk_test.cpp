// A whole host over a disk that fails: full, broken in the middle of a turn, without power at some step.
#include <future>
#include <mutex>
#include <random>

#include <doctest/doctest.h>

#include "storage/testing/fault_vfs.h"
#include "tests/runtime/crash_bank.h"
#include "tests/storage/scratch.h"

using namespace troupe;
using namespace troupe::storage::testing;
using namespace std::chrono_literals;

namespace {

constexpr int transfers = 40;
constexpr auto patience = 20s;

struct server {
  explicit server(const std::filesystem::path& data)
      : h({.data = data, .kinds = {&crash_bank::account()}, .effects = {crash_bank::note()}}) {
    h.start();
  }
  ~server() { h.stop(); }
  host h;
};

client_command transfer(const std::string& id) {
  return {.to = crash_bank::sender_of(id),
          .id = id,
          .name = "account.transfer",
          .body = crash_bank::body_of(id),
          .principal = "me",
          .timeout = patience};
}

// Sends many transfers at once and waits for all answers, of whatever kind; the model learns those that are
// good.
void load(host& h, const std::string& prefix, crash_bank::model& model) {
  std::mutex mutex;
  std::condition_variable changed;
  int answered = 0;
  for (int n = 0; n < transfers; ++n) {
    auto id = prefix + "-" + std::to_string(n);
    model.tried.insert(id);
    h.command(transfer(id), [&, id](reply r) {
      std::lock_guard lock(mutex);
      if (r.ok()) model.acknowledged.emplace(id, r.result().at("n").get<std::int64_t>());
      ++answered;
      changed.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  REQUIRE_MESSAGE(changed.wait_for(lock, patience, [&] { return answered == transfers; }),
                  "answers are missing");
}

// The same ids until each is answered well: what a client does after a 503.
void insist(host& h, crash_bank::model& model) {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (auto& id : model.tried) {
    while (!model.acknowledged.contains(id)) {
      auto r = h.call(transfer(id));
      if (r.ok()) model.acknowledged.emplace(id, r.result().at("n").get<std::int64_t>());
      REQUIRE(std::chrono::steady_clock::now() < until);
    }
  }
}

std::uint64_t steps_of_a_whole_run() {
  scratch dir;
  fault_vfs disk(reach::everything);
  server s(dir / "data");
  REQUIRE(crash_bank::open_all(s.h, patience));
  auto before = disk.steps();
  crash_bank::model model;
  load(s.h, "x", model);
  REQUIRE(model.acknowledged.size() == transfers);
  return disk.steps() - before;
}

}  // namespace

TEST_CASE("after a power cut in the middle of the work of several actors, every law of the bank holds") {
  const std::uint64_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto all = steps_of_a_whole_run();
  for (int cut = 0; cut < 40; ++cut) {
    CAPTURE(cut);
    scratch dir;
    fault_vfs disk(reach::everything);
    crash_bank::model model;
    {
      server s(dir / "data");
      REQUIRE(crash_bank::open_all(s.h, patience));
      disk.cut_power_at(1 + random() % all);
      load(s.h, "before", model);
    }
    if (disk.powered()) continue;
    disk.restart(cut % 4 == 0 ? fault_vfs::without_unsynced : random());
    server s(dir / "data");
    REQUIRE(crash_bank::open_all(s.h, patience));
    insist(s.h, model);
    crash_bank::verify(s.h, model, patience);
  }
}

TEST_CASE("whatever fails in one actor's file in the middle of a turn, it goes on once the cause is gone") {
  struct {
    operation on;
    fault what;
  } const faults[] = {{operation::write, fault::full}, {operation::write, fault::io},
                      {operation::write, fault::torn}, {operation::sync, fault::io},
                      {operation::sync, fault::full},  {operation::read, fault::io}};
  std::mt19937_64 random(7);
  for (auto [on, what] : faults) {
    for (std::uint64_t times : {std::uint64_t{1}, std::uint64_t{3}, plan::forever}) {
      CAPTURE(static_cast<int>(on));
      CAPTURE(static_cast<int>(what));
      CAPTURE(times);
      scratch dir;
      fault_vfs disk(reach::everything);
      server s(dir / "data");
      REQUIRE(crash_bank::open_all(s.h, patience));
      disk.inject(
          {.on = on, .what = what, .nth = 1 + random() % 10, .times = times, .path_part = "account/a1/"});
      crash_bank::model model;
      load(s.h, "during", model);
      disk.clear();
      insist(s.h, model);
      crash_bank::verify(s.h, model, patience);
      CHECK(s.h.stats().quarantined == 0);
    }
  }
}

TEST_CASE("while one actor's disk is full its clients are told 503 with the cause, and others work on") {
  scratch dir;
  fault_vfs disk(reach::everything);
  server s(dir / "data");
  REQUIRE(crash_bank::open_all(s.h, patience));
  disk.inject(
      {.on = operation::write, .what = fault::full, .times = plan::forever, .path_part = "account/a1/"});
  int refused = 0, answered = 0;
  for (int n = 0; n < transfers; ++n) {
    auto command = transfer("full-" + std::to_string(n));
    command.timeout = 200ms;
    const bool on_full_disk = command.to == crash_bank::account_key(1);
    auto r = s.h.call(command);
    CHECK(r.ok() == !on_full_disk);
    if (!r.ok()) {
      const auto& why = r.error();
      CAPTURE(why.detail);
      CHECK((why.status == 503 || why.status == 504));
      if (why.code == "storage") CHECK(why.detail.find("actor.sqlite") != std::string::npos);
      refused += why.status == 503;
    }
    answered += r.ok();
  }
  CHECK(refused > 0);
  CHECK(answered > 0);
}
