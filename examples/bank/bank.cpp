#include "bank/bank.h"

using namespace troupe;

namespace bank {
namespace {

constexpr storage::migration bank_tables[] = {{1, R"(
  CREATE TABLE accounts (id TEXT PRIMARY KEY, opened_with INTEGER NOT NULL, coins INTEGER NOT NULL) WITHOUT ROWID;
)"}};

constexpr std::string_view any_object = R"({"type": "object"})";
constexpr schema_file bank_schemas[] = {
    {"bank.found.body.json", any_object},
    {"bank.open_account.body.json", R"({"type": "object", "required": ["id", "coins"], "properties": {
      "id": {"type": "string", "pattern": "^[a-z]{1,20}$"}, "coins": {"type": "integer", "minimum": 0}}})"},
    {"bank.open_account.result.json", any_object},
    {"bank.apply_balance.body.json", any_object},
};

answer found(turn&, const json&) {
  return done();
}

answer open_account(turn& t, const json& body) {
  const auto id = body["id"].get<std::string>();
  t.run("INSERT OR IGNORE INTO accounts VALUES (?1, ?2, ?2)", id, body["coins"].get<std::int64_t>());
  if (t.changes() == 0) return conflict("exists", "there is an account " + id + " already");
  t.create(t.self().child("account", id), "account.open", {{"coins", body["coins"]}});
  return json{{"account", t.self().child("account", id).str()}};
}

// What a screen of the bank needs is pushed by the accounts: no read of the bank visits them.
answer apply_balance(turn& t, const json& body) {
  t.run("UPDATE accounts SET coins = ? WHERE id = ?", body["coins"].get<std::int64_t>(),
        std::string(key(t.from().actor).id()));
  return done();
}

json bank_snapshot(const view& v) {
  json accounts = json::object();
  v.each("SELECT id, coins FROM accounts ORDER BY id LIMIT 100",
         [&](const storage::row& r) { accounts[r.get<std::string>(0)] = r.get<std::int64_t>(1); });
  return {{"accounts", accounts}};
}

constexpr storage::migration account_tables[] = {{1, R"(
  CREATE TABLE purse (id INTEGER PRIMARY KEY CHECK (id = 1), coins INTEGER NOT NULL CHECK (coins >= 0));
)"}};

constexpr schema_file account_schemas[] = {
    {"account.open.body.json", any_object},
    {"account.receive.body.json", any_object},
    {"account.pay.body.json", R"({"type": "object", "required": ["to", "coins"], "properties": {
      "to": {"type": "string", "pattern": "^[a-z]{1,20}$"}, "coins": {"type": "integer", "minimum": 1}}})"},
    {"account.pay.result.json", any_object},
};

std::int64_t coins_of(const view& v) {
  return v.one<std::int64_t>("SELECT coins FROM purse").value_or(0);
}

void add_coins(turn& t, std::int64_t coins) {
  t.run("UPDATE purse SET coins = coins + ?", coins);
  t.send(*t.self().parent(), "bank.apply_balance", {{"coins", coins_of(t)}});
}

answer open(turn& t, const json& body) {
  t.run("INSERT OR IGNORE INTO purse VALUES (1, ?)", body["coins"].get<std::int64_t>());
  return done();
}

answer pay(turn& t, const json& body) {
  const auto coins = body["coins"].get<std::int64_t>();
  const auto payee = t.self().parent()->child("account", body["to"].get<std::string>());
  if (payee == t.self()) return conflict("same_account", "an account cannot pay itself");
  if (coins_of(t) < coins)
    return conflict("too_few", "there are only " + std::to_string(coins_of(t)) + " coins");
  add_coins(t, -coins);
  t.ask(payee, "account.receive", {{"coins", coins}}, "account.paid", {{"coins", coins}});
  return json{{"coins", coins_of(t)}};
}

answer receive(turn& t, const json& body) {
  add_coins(t, body["coins"].get<std::int64_t>());
  return done();
}

// The payee took the coins, or there is no such account: then they come back.
answer paid(turn& t, const json& body) {
  const auto o = outcome::of(body);
  if (!o.ok()) add_coins(t, o.context["coins"].get<std::int64_t>());
  return done();
}

json account_snapshot(const view& v) {
  return {{"coins", coins_of(v)}};
}

}  // namespace

const kind& bank() {
  static const kind k{
      .name = "bank",
      .schema = {bank_tables, bank_schemas},
      .commands = {{"bank.found", from::host(), lane::interactive, found, {}, /*creates=*/true},
                   {"bank.open_account", from::client("member"), lane::interactive, open_account},
                   {"bank.apply_balance", from::child(), lane::interactive, apply_balance}},
      .snapshot = bank_snapshot,
  };
  return k;
}

const kind& account() {
  static const kind k{
      .name = "account",
      .schema = {account_tables, account_schemas},
      .commands = {{"account.open", from::parent(), lane::interactive, open, {}, /*creates=*/true},
                   {"account.pay", from::client("member"), lane::interactive, pay},
                   {"account.receive", from::kind("account"), lane::interactive, receive},
                   {"account.paid", from::reply(), lane::interactive, paid}},
      .snapshot = account_snapshot,
  };
  return k;
}

}  // namespace bank
