// Handlers one by one, in memory; then the whole bank in all orders, ended at every step of its disk.
#include "bank/bank.h"

#include <doctest/doctest.h>

#include "runtime/testing/actor_in_memory.h"
#include "runtime/testing/simulation.h"

using namespace troupe;
using namespace troupe::testing;

TEST_CASE("who pays sends the coins along and has them no more") {
  actor_in_memory ada(bank::account(), "bank/ours/account/ada");
  ada.apply("account.open", {{"coins", 10}});
  const auto t = ada.apply("account.pay", {{"to", "bob"}, {"coins", 4}});

  CHECK(t.reply.result() == json{{"coins", 6}});
  CHECK(t.rows == json::parse(R"([["~", "purse", 1, {"coins": [10, 6]}]])"));
  REQUIRE(t.messages.size() == 2);
  CHECK(t.messages[0].name == "bank.apply_balance");
  CHECK(t.messages[1].to.str() == "bank/ours/account/bob");
  CHECK(t.messages[1].body == json{{"coins", 4}});
}

TEST_CASE("who has too few coins pays nothing") {
  actor_in_memory ada(bank::account(), "bank/ours/account/ada");
  ada.apply("account.open", {{"coins", 3}});
  const auto t = ada.apply("account.pay", {{"to", "bob"}, {"coins", 4}});
  CHECK(t.reply.problem().code == "too_few");
  CHECK(t.messages.empty());
  CHECK(ada.snapshot()["coins"] == 3);
}

TEST_CASE("coins that nobody took come back") {
  actor_in_memory ada(bank::account(), "bank/ours/account/ada");
  ada.apply("account.open", {{"coins", 10}});
  const auto sent = ada.apply("account.pay", {{"to", "nobody"}, {"coins", 4}}).messages.at(1);
  const problem gone{410, "gone", "there is no such account"};
  ada.answered(sent, gone);
  CHECK(ada.snapshot()["coins"] == 10);
}

TEST_CASE("no coin is lost or made, whatever happens on the way") {
  const key ours("bank/ours");
  const auto account = [&](const std::string& id) { return ours.child("account", id); };
  const scenario town{
      .kinds = {&bank::bank(), &bank::account()},
      .open = [&](simulation& s) { s.make(ours, "bank.found", "found"); },
      .act =
          [&](simulation& s) {
            const std::string people[] = {"ada", "bob", "eve"};
            const auto payer = people[s.dice(3)], payee = people[s.dice(3)];
            if (!s.exists(account(payer)))
              return s.command(ours, "bank.open_account", {{"id", payer}, {"coins", 50}});
            s.command(account(payer), "account.pay", {{"to", payee}, {"coins", 1 + s.dice(70)}});
          },
      .laws =
          [&](simulation& s) {
            std::int64_t opened_with = 0, coins = 0;
            for (const auto& row : s.rows(ours, "SELECT id, opened_with, coins FROM accounts")) {
              const auto purse = s.rows(account(row[0]), "SELECT coins FROM purse")[0][0];
              s.require(purse == row[2], "the bank knows another balance than " + row[0].get<std::string>());
              opened_with += row[1].get<std::int64_t>();
              coins += purse.get<std::int64_t>();
            }
            s.require(coins == opened_with, "there are " + std::to_string(coins) + " coins");
          },
      .acts = 8};
  const auto found = explore(town, {.points = 1000});
  CHECK_MESSAGE(!found.broken, found.text());
}
