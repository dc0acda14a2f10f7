// Backups of a bank at work: what is restored holds together, and goes on.
#include "runtime/backup.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <thread>

#include <doctest/doctest.h>

#include "runtime/verify.h"
#include "tests/runtime/crash_bank.h"
#include "tests/storage/scratch.h"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

constexpr auto long_enough = 30s;

std::unique_ptr<host> bank_in(const std::filesystem::path& data) {
  auto h = std::make_unique<host>(
      host_options{.data = data, .kinds = {&crash_bank::account()}, .effects = {crash_bank::note()}});
  h->start();
  return h;
}

reply pay_once(host& h, const std::string& id) {
  return h.call({.to = crash_bank::sender_of(id),
                 .id = id,
                 .name = "account.transfer",
                 .body = crash_bank::body_of(id),
                 .principal = "me"});
}

// Transfers without a pause, from several threads, until it goes.
class busy {
 public:
  explicit busy(host& h) {
    for (int t = 0; t < 3; ++t) {
      threads_.emplace_back([this, &h, t] {
        for (int n = 0; !over_; ++n) pay_once(h, "t" + std::to_string(t) + "-" + std::to_string(n));
        ++ended_;
      });
    }
  }
  ~busy() { over_ = true; }

 private:
  std::atomic<bool> over_ = false;
  std::atomic<int> ended_ = 0;
  std::vector<std::jthread> threads_;
};

struct any_id : crash_bank::model {
  any_id() {
    for (int t = 0; t < 3; ++t)
      for (int n = 0; n < 100'000; ++n) tried.insert("t" + std::to_string(t) + "-" + std::to_string(n));
  }
};

std::string said(const verify_result& r) {
  return r.findings.empty() ? "whole" : r.findings[0].actor + ": " + r.findings[0].what;
}

// Runs f in a process of its own, which ends as a killed one does when f says so.
template <class F>
int in_a_child(F&& f) {
  const auto child = ::fork();
  if (child == 0) {
    try {
      f();
    } catch (...) {
      ::_exit(2);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE(
    "a backup of a bank at work restores to one in which no money is missing and nothing arrives twice") {
  scratch dir;
  {
    auto h = bank_in(dir / "data");
    REQUIRE(crash_bank::open_all(*h, long_enough));
    busy load(*h);
    for (int n = 0; n < 5; ++n) {
      const auto b = back_up(*h, dir / "backups");
      CHECK(b.actors == crash_bank::accounts);
      CHECK(said(verify(b.at / "data")) == "whole");
      pay_once(*h, "t0-" + std::to_string(90'000 + n));
    }
  }
  const any_id model;
  for (const auto& b : backups_in(dir / "backups")) {
    CAPTURE(b.string());
    const auto data = dir / ("restored-" + b.filename().string());
    CHECK(restore(b, data).actors == crash_bank::accounts);
    CHECK(said(verify(data)) == "whole");
    {
      auto h = bank_in(data);
      REQUIRE(crash_bank::open_all(*h, long_enough));
      crash_bank::verify(*h, model, long_enough);
      CHECK(pay_once(*h, "t1-99999").ok());
      crash_bank::verify(*h, model, long_enough);
    }
    CHECK(said(verify(data)) == "whole");
  }
}

TEST_CASE("a backup copies what changed and links to the one before for the rest") {
  scratch dir;
  {
    auto h = bank_in(dir / "data");
    REQUIRE(crash_bank::open_all(*h, long_enough));
  }
  std::ofstream(dir / "data/account/a1/saved.bundle") << "work";
  const auto first = back_up(dir / "data", dir / "backups", {.also = {"account/a1"}});
  CHECK(first.copied == crash_bank::accounts);
  const auto second = back_up(dir / "data", dir / "backups");
  CHECK(second.copied == 0);
  CHECK(second.unchanged == crash_bank::accounts);
  CHECK(std::filesystem::equivalent(first.at / "data/account/a1/actor.sqlite",
                                    second.at / "data/account/a1/actor.sqlite"));
  CHECK(std::filesystem::exists(second.at / "data/account/a1/saved.bundle"));
}

TEST_CASE("a restored actor is another incarnation, and its timers ring") {
  scratch dir;
  std::string before;
  {
    auto h = bank_in(dir / "data");
    REQUIRE(crash_bank::open_all(*h, long_enough));
    before = pay_once(*h, "t0-1").at.incarnation;
  }
  back_up(dir / "data", dir / "backups");
  restore(dir / "backups", dir / "again");
  auto h = bank_in(dir / "again");
  const auto k = crash_bank::sender_of("t0-1");
  const auto ticks = [&] {
    std::promise<std::int64_t> got;
    h->snapshot(k, "me", [&](auto s) {
      got.set_value(json::parse(std::get<snapshot_ptr>(s)->data)["ticks"].template get<std::int64_t>());
    });
    return got.get_future().get();
  };
  const auto again = pay_once(*h, "t0-1");
  CHECK(again.result()["n"] == 1);  // known by its id, as before
  CHECK(again.at.incarnation != before);
  const auto since = ticks();
  const auto until = std::chrono::steady_clock::now() + long_enough;
  while (ticks() == since && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  CHECK(ticks() > since);
}

TEST_CASE("killed at any moment, a backup or a restore leaves what was there, and the next one does it") {
  scratch dir;
  {
    auto h = bank_in(dir / "data");
    REQUIRE(crash_bank::open_all(*h, long_enough));
    for (int n = 0; n < 20; ++n) pay_once(*h, "t0-" + std::to_string(n));
  }
  for (int moment = 0;; ++moment) {
    CAPTURE(moment);
    int reported = 0;
    const auto die = [&](std::string_view, std::size_t, std::size_t) {
      if (reported++ == moment) ::_exit(9);
      return true;
    };
    const auto backups = backups_in(dir / "backups").size();
    const auto ended = in_a_child([&] { back_up(dir / "data", dir / "backups", {.progress = die}); });
    if (ended == 0) break;
    REQUIRE(ended == 9);
    CHECK(backups_in(dir / "backups").size() == backups);
  }
  const auto all = backups_in(dir / "backups");
  REQUIRE(all.size() == 1);
  CHECK(said(verify(all[0] / "data")) == "whole");
  for (const auto& e : std::filesystem::directory_iterator(dir / "backups"))
    CHECK(!e.path().filename().string().starts_with(".unf"));

  for (int moment = 0;; ++moment) {
    CAPTURE(moment);
    int reported = 0;
    const auto die = [&](std::string_view, std::size_t, std::size_t) {
      if (reported++ == moment) ::_exit(9);
      return true;
    };
    const auto ended = in_a_child([&] { restore(dir / "backups", dir / "restored", {.progress = die}); });
    if (ended == 0) break;
    REQUIRE(ended == 9);
    CHECK(!std::filesystem::exists(dir / "restored"));
  }
  CHECK(said(verify(dir / "restored")) == "whole");
  CHECK_THROWS_AS(restore(dir / "backups", dir / "restored"), storage::error);
}

TEST_CASE(
    "verify names a damaged page, a message that was forgotten, one that was never sent, and a file that is "
    "gone") {
  scratch dir;
  {
    auto h = bank_in(dir / "data");
    REQUIRE(crash_bank::open_all(*h, long_enough));
    for (int n = 0; n < 60; ++n) pay_once(*h, "t0-" + std::to_string(n));
    crash_bank::verify(*h, any_id(), long_enough);
  }
  CHECK(said(verify(dir / "data")) == "whole");
  const auto broken = [&](const char* sql, const char* words) {
    CAPTURE(sql);
    std::filesystem::remove_all(dir / "copy");
    std::filesystem::copy(dir / "data", dir / "copy", std::filesystem::copy_options::recursive);
    storage::database(dir / "copy/account/a1/actor.sqlite").script(sql);
    const auto r = verify(dir / "copy");
    REQUIRE(!r.whole());
    CHECK_MESSAGE(r.findings[0].what.find(words) != std::string::npos, said(r));
  };
  broken("UPDATE rt_marks SET number = number - 1", "messages are lost");
  broken("UPDATE rt_marks SET number = number + 1", "something was seen that is not stored");
  broken("DELETE FROM rt_entries WHERE seq = 1", "has a gap");
  broken("UPDATE rt_meta SET key = 'account/a2'", "says that it is account/a2");
  broken("UPDATE rt_meta SET incarnation = 'x'", "another incarnation");

  std::filesystem::remove_all(dir / "data/account/a2");
  const auto gone = verify(dir / "data");
  REQUIRE(!gone.whole());
  CHECK(gone.findings.back().what.find("no file") != std::string::npos);
  {
    std::fstream damage(dir / "data/account/a1/actor.sqlite",
                        std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(2 * 2048);
    damage << std::string(2048, '\xff');
  }
  CHECK(verify(dir / "data").findings.size() > gone.findings.size());
}
