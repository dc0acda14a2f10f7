// Small programs of actors, ended at every step of their disk. What a crash may cost is known: nothing.
#include <cstdlib>

#include <doctest/doctest.h>

#include "runtime/testing/simulation.h"
#include "tests/runtime/crash_bank.h"
#include "tests/runtime/ledger.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

/// Of all points: 20,000, nightly a million, or what TROUPE_POINTS says.
std::size_t share(double part) {
  if (const char* all = std::getenv("TROUPE_POINTS")) return static_cast<std::size_t>(part * std::atof(all));
  const char* nightly = std::getenv("TROUPE_NIGHTLY");
  return static_cast<std::size_t>(part * (nightly && *nightly == '1' ? 1'000'000 : 20'000));
}

// Accounts that pay each other over several hops, with effects, journals and timers.
namespace hops {

constexpr int accounts = 3;

void open(simulation& s) {
  for (int i = 0; i < accounts; ++i)
    s.make(crash_bank::account_key(i), "account.open", "open" + std::to_string(i));
}

void act(simulation& s) {
  const auto at = s.dice(accounts);
  json path = json::array();
  auto last = at;
  for (auto n = 1 + s.dice(3); n > 0; --n) {
    last = (last + 1 + s.dice(accounts - 1)) % accounts;
    path.push_back(crash_bank::account_key(static_cast<int>(last)).str());
  }
  s.command(crash_bank::account_key(static_cast<int>(at)), "account.transfer",
            {{"amount", 1 + s.dice(50)}, {"path", path}});
}

void laws(simulation& s) {
  std::int64_t money = 0;
  std::map<std::pair<std::string, std::string>, std::int64_t> sent_by_pair, got_by_pair;
  std::map<std::string, json> applied;
  for (int i = 0; i < accounts; ++i) {
    const auto k = crash_bank::account_key(i);
    money += s.rows(k, "SELECT balance FROM state").at(0).at(0).get<std::int64_t>();
    std::int64_t n = 0;
    const auto sent = s.rows(k, "SELECT n, target, seq, id FROM sent ORDER BY n");
    for (const auto& row : sent) {
      s.require(row[0] == ++n, k.str() + " has a gap in what it sent");
      s.require(row[2] == ++sent_by_pair[{k.str(), row[1].get<std::string>()}],
                k.str() + " numbered twice or skipped");
      const auto id = row[3].get<std::string>();
      if (id.back() != '+')
        s.require(applied.try_emplace(id, json{{"n", n}}).second, id + " was applied twice");
    }
    for (const auto& row : s.rows(k, "SELECT n, sender, seq FROM got ORDER BY n")) {
      s.require(row[2] == ++got_by_pair[{row[1].get<std::string>(), k.str()}],
                k.str() + " got something lost, doubled or out of order: " + row.dump());
    }
    const auto journal = s.rows(k, "SELECT seq, data FROM rt_entries WHERE stream = 'journal' ORDER BY seq");
    s.require(journal.size() == sent.size(), "the journal of " + k.str() + " is not what it sent");
    for (const auto& e : journal)
      s.require(json::parse(e[1].get<std::string>())["n"] == e[0], "the journal lies");
    const auto counts = s.rows(k, "SELECT asked, noted FROM state").at(0);
    const auto failed =
        s.rows(k, "SELECT count(*) FROM rt_inbox WHERE name = 'account.noted' AND ok = 0").at(0).at(0);
    s.require(counts[0].get<int>() == counts[1].get<int>() + failed.get<int>(),
              "effects are missing at " + k.str());
  }
  s.require(money == accounts * crash_bank::opening_balance, "there is " + std::to_string(money) + " in all");
  s.require(sent_by_pair == got_by_pair, "what was sent is not what was got");
  for (const auto& i : s.intentions()) {
    if (i.name != "account.transfer") continue;
    s.require(applied.contains(i.id), i.id + " was answered " + i.answer.dump() + " and is lost");
    s.require(i.answer == json{{"result", applied[i.id]}},
              i.id + " was answered " + i.answer.dump() + " and is " + applied[i.id].dump());
  }
}

scenario program() {
  return {.kinds = {&crash_bank::account()},
          .effects = {{.name = "note", .max_attempts = 3}},
          .open = open,
          .act = act,
          .laws = laws,
          .acts = 6};
}

}  // namespace hops

// A bank and its accounts: children made and closed, questions with answers, refusals, timers, effects of all
// policies.
namespace ledger {

const key bank{"bank/b"};
constexpr std::int64_t opening = 100;

key account(std::uint64_t n) {
  return bank.child("account", "a" + std::to_string(n));
}

void open(simulation& s) {
  s.make(bank, "bank.open", "open");
}

void act(simulation& s) {
  const auto one = s.dice(3), other = s.dice(4);
  switch (s.dice(9)) {
    case 0:
    case 1:
      s.command(bank, "bank.make", {{"account", "a" + std::to_string(one)}, {"amount", opening}});
      break;
    case 2:
    case 3:
    case 4:
      if (s.exists(account(one)))
        s.command(account(one), "account.pay",
                  {{"to", "a" + std::to_string(other)}, {"amount", 1 + s.dice(60)}});
      break;
    case 5:
      if (s.exists(account(one)))
        s.command(account(one), "account.fetch",
                  {{"tag", "t" + std::to_string(one)},
                   {"kind", s.dice(2) ? "fetch" : "once"},
                   {"resource", s.dice(2) ? "r" : ""}});
      break;
    case 6:
      if (s.exists(account(one)))
        s.command(account(one), "account.remind",
                  {{"in_ms", s.dice(3000)}, {"name", "bell" + std::to_string(s.dice(2))}});
      break;
    case 7:
      if (s.exists(account(one))) s.command(account(one), "account.fail");
      break;
    default:
      if (s.exists(account(one))) s.command(account(one), "account.deposit", {{"amount", 0}});
  }
}

void laws(simulation& s) {
  std::int64_t money = 0, made = 0;
  for (std::uint64_t n = 0; n < 4; ++n) {
    if (!s.exists(account(n))) continue;
    // A second bank.make sets the amount anew; what the account says of itself is the first answer that
    // counts.
    const auto starts =
        s.rows(account(n), "SELECT count(*) FROM rt_inbox WHERE name = 'account.start' AND ok = 1")
            .at(0)
            .at(0);
    s.require(starts.get<int>() >= 1, account(n).str() + " exists and was never started");
    const auto amount = s.rows(account(n), "SELECT amount FROM balance").at(0).at(0).get<std::int64_t>();
    const auto moves =
        s.rows(account(n),
               "SELECT name, body, result, ok FROM rt_inbox WHERE ok = 1 AND name IN "
               "('account.start', 'account.pay', 'account.receive', 'account.paid') ORDER BY seq");
    std::int64_t by_history = 0;
    for (const auto& m : moves) {
      const auto body = json::parse(m[1].get<std::string>());
      const auto name = m[0].get<std::string>();
      if (name == "account.start") by_history = body["amount"];
      if (name == "account.pay") by_history -= body["amount"].get<std::int64_t>();
      if (name == "account.receive") by_history += body["amount"].get<std::int64_t>();
      if (name == "account.paid" && !body["ok"].get<bool>())
        by_history += body["context"]["amount"].get<std::int64_t>();
    }
    s.require(by_history == amount, account(n).str() + " holds " + std::to_string(amount) +
                                        ", its history says " + std::to_string(by_history));
    money += amount;
    made += starts.get<int>();
  }
  std::map<std::string, std::int64_t> paid, received;
  std::int64_t answered = 0, asked = 0;
  for (std::uint64_t n = 0; n < 4; ++n) {
    if (!s.exists(account(n))) continue;
    asked += s.rows(account(n), "SELECT count(*) FROM rt_inbox WHERE name = 'account.pay' AND ok = 1")
                 .at(0)
                 .at(0)
                 .get<int>();
    answered += s.rows(account(n), "SELECT count(*) FROM rt_inbox WHERE name = 'account.paid'")
                    .at(0)
                    .at(0)
                    .get<int>();
    s.require(s.rows(account(n), "SELECT 1 FROM rt_timers WHERE due < 0").empty(),
              "a timer is due before time began");
    s.require(s.rows(account(n), "SELECT 1 FROM rt_dead").empty(),
              "a message of " + account(n).str() + " is dead");
  }
  s.require(asked == answered,
            std::to_string(asked) + " payments have " + std::to_string(answered) + " answers");
  if (const auto list = s.ask(bank, "bank.list"); true) {
    for (const auto& [name, balance] : list.items())
      s.require(s.exists(bank.child("account", name)), name + " is listed and does not exist");
  }
}

scenario program() {
  return {.kinds = {&bank_kind(), &account_kind()},
          .effects = {{.name = "fetch", .max_attempts = 3},
                      {.name = "once", .policy = after_restart::interrupted}},
          .open = open,
          .act = act,
          .laws = laws,
          .acts = 14};
}

}  // namespace ledger

}  // namespace

TEST_CASE("one seed is one exact run, to the byte of every write") {
  const auto s = hops::program();
  const auto record = [&] {
    const std::filesystem::path data =
        std::filesystem::temp_directory_path() / ("troupe-exact-" + std::to_string(::getpid()));
    std::filesystem::remove_all(data);
    storage::testing::disk_record r;
    {
      simulation run(s, data, 42, nullptr, 0, &r);
      run.live();
    }
    std::filesystem::remove_all(data);
    return r;
  };
  const auto one = record(), other = record();
  REQUIRE(one.events.size() > 100);
  REQUIRE(one.events.size() == other.events.size());
  for (std::size_t i = 0; i < one.events.size(); ++i) {
    CAPTURE(i);
    CHECK(one.events[i].file == other.events[i].file);
    CHECK(one.events[i].event.is == other.events[i].event.is);
    CHECK(one.events[i].event.offset == other.events[i].event.offset);
  }
}

TEST_CASE(
    "payments over several hops: ended at every step, nothing is lost, doubled, out of order or told too "
    "early") {
  const auto found = explore(hops::program(), {.points = share(0.45)});
  MESSAGE(found.text());
  CHECK(!found.broken);
}

TEST_CASE(
    "parents, children, questions, timers and effects: ended at every step, the history explains every "
    "balance") {
  const auto found = explore(ledger::program(), {.points = share(0.35)});
  MESSAGE(found.text());
  CHECK(!found.broken);
}

TEST_CASE("on disks that fail, behind a gate that is late: ended at every step, the same laws hold") {
  auto s = hops::program();
  s.broken_disks = s.slow_gate = true;
  const auto found = explore(s, {.points = share(0.2)});
  MESSAGE(found.text());
  CHECK(!found.broken);
}

TEST_CASE("without syncs a power cut is found out") {
  auto s = hops::program();
  s.sync = storage::durability::normal;
  const auto found = explore(s, {.points = 20'000});
  REQUIRE(found.broken);
  REQUIRE(!found.broken->cuts.empty());
  CHECK(found.broken->cuts[0].how != storage::testing::ending::killed);
}
