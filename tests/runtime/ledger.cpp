#include "tests/runtime/ledger.h"

#include <thread>

namespace troupe::testing {
namespace {

constexpr std::string_view object = R"({"type":"object"})";

constexpr storage::migration bank_steps[] = {{1, R"(
CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
)"}};
constexpr storage::migration account_steps[] = {{1, R"(
CREATE TABLE balance (id INTEGER PRIMARY KEY CHECK (id = 1), amount INTEGER NOT NULL CHECK (amount >= 0));
INSERT INTO balance VALUES (1, 0);
CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
)"}};

constexpr schema_file bank_files[] = {
    {"bank.open.body.json", object},
    {"bank.make.body.json",
     R"({"type":"object","required":["account","amount"],"additionalProperties":false,
         "properties":{"account":{"type":"string","minLength":1},"amount":{"type":"integer","minimum":0}}})"},
    {"bank.make.result.json", object},
    {"bank.apply_balance.body.json", object},
    {"bank.close.body.json", object},
    {"bank.close.result.json", object},
    {"bank.apply_closed.body.json", object},
    {"bank.list.body.json", object},
    {"bank.list.result.json", object},
};
constexpr schema_file account_files[] = {
    {"account.start.body.json", object},
    {"account.deposit.body.json",
     R"({"type":"object","required":["amount"],"properties":{"amount":{"type":"integer"},"pin":{"type":"string","writeOnly":true}}})"},
    {"account.deposit.result.json", object},
    {"account.pay.body.json", object},
    {"account.pay.result.json", object},
    {"account.receive.body.json", object},
    {"account.fail.body.json", object},
    {"account.fail.result.json", object},
    {"account.remind.body.json", object},
    {"account.remind.result.json", object},
    {"account.ring.body.json", object},
    {"account.fetch.body.json", object},
    {"account.fetch.result.json", object},
    {"account.listen.body.json", object},
    {"account.listen.result.json", object},
    {"account.close.body.json", object},
    {"account.note.body.json", object},
    {"account.note.result.json", object},
    {"account.slow.body.json", object},
    {"account.slow.result.json", object},
    {"account.read.body.json", object},
    {"account.read.result.json", object},
    {"account.cheat.body.json", object},
    {"account.cheat.result.json", object},
};

key bank_of(const view& v) {
  return *v.self().parent();
}

answer open_bank(turn& t, const json&) {
  t.run("INSERT INTO notes (text) VALUES ('open')");
  return done();
}

answer make_account(turn& t, const json& body) {
  const auto name = body["account"].get<std::string>();
  t.run("INSERT OR IGNORE INTO accounts VALUES (?, 0)", name);
  t.create(t.self().child("account", name), "account.start", {{"amount", body["amount"]}});
  return json{{"account", t.self().child("account", name).str()}};
}

answer apply_balance(turn& t, const json& body) {
  const auto from = key(t.from().actor);
  t.run("UPDATE accounts SET balance = ? WHERE name = ?", body["amount"].get<std::int64_t>(), from.id());
  return done();
}

answer close_account(turn& t, const json& body) {
  t.send(t.self().child("account", body["account"].get<std::string>()), "account.close", json::object());
  return done();
}

answer apply_closed(turn& t, const json&) {
  t.run("DELETE FROM accounts WHERE name = ?", key(t.from().actor).id());
  return done();
}

answer list_accounts(const view& v, const json& body) {
  json out = json::object();
  v.each("SELECT name, balance FROM accounts",
         [&](const storage::row& r) { out[r.get<std::string>(0)] = r.get<std::int64_t>(1); });
  if (body.contains("spin")) {
    v.each("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
           [](const storage::row&) {});
  }
  return out;
}

json bank_snapshot(const view& v) {
  return list_accounts(v, json::object()).result();
}

std::int64_t amount(const view& v) {
  return v.one<std::int64_t>("SELECT amount FROM balance").value_or(0);
}

void push_up(turn& t) {
  t.send(bank_of(t), "bank.apply_balance", {{"amount", amount(t)}});
}

answer start_account(turn& t, const json& body) {
  t.run("UPDATE balance SET amount = ?", body["amount"].get<std::int64_t>());
  push_up(t);
  return done();
}

answer deposit(turn& t, const json& body) {
  t.run("UPDATE balance SET amount = amount + ?", body["amount"].get<std::int64_t>());
  t.append("moves", {{"deposit", body["amount"]}});
  return json{{"amount", amount(t)}};
}

answer pay(turn& t, const json& body) {
  const auto n = body["amount"].get<std::int64_t>();
  if (amount(t) < n) return conflict("too_poor", "there is only " + std::to_string(amount(t)));
  t.run("UPDATE balance SET amount = amount - ?", n);
  t.ask(bank_of(t).child("account", body["to"].get<std::string>()), "account.receive", {{"amount", n}},
        "account.paid", {{"amount", n}});
  return json{{"amount", amount(t)}};
}

answer receive(turn& t, const json& body) {
  t.run("UPDATE balance SET amount = amount + ?", body["amount"].get<std::int64_t>());
  return json{{"amount", amount(t)}};
}

answer paid(turn& t, const json& body) {
  const auto o = outcome::of(body);
  if (!o.ok()) {
    t.run("UPDATE balance SET amount = amount + ?", o.context["amount"].get<std::int64_t>());
    t.run("INSERT INTO log (text) VALUES (?)", "refused: " + o.error().code);
  }
  return done();
}

answer fail(turn& t, const json& body) {
  t.run("UPDATE balance SET amount = amount + 1000");
  t.append("moves", {{"never", true}});
  push_up(t);
  if (body.value("throw", false)) throw std::runtime_error("a bug");
  return conflict("no", "it does not want to");
}

answer remind(turn& t, const json& body) {
  t.set_timer(body.value("name", "bell"), t.now() + std::chrono::milliseconds(body["in_ms"].get<int>()),
              "account.ring", {{"text", body.value("text", "ring")}});
  return done();
}

answer ring(turn& t, const json& body) {
  t.run("INSERT INTO log (text) VALUES (?)", body["text"].get<std::string>());
  return done();
}

answer fetch(turn& t, const json& body) {
  return json{{"effect", t.start({.kind = body.value("kind", "fetch"),
                                  .body = body,
                                  .then = "account.fetched",
                                  .context = {{"tag", body.value("tag", "")}},
                                  .resource = body.value("resource", ""),
                                  .deadline = std::chrono::milliseconds(body.value("deadline_ms", 0))})}};
}

answer fetched(turn& t, const json& body) {
  const auto o = outcome::of(body);
  t.run("INSERT INTO log (text) VALUES (?)",
        o.context["tag"].get<std::string>() + ":" + (o.ok() ? o.result().dump() : o.error().code));
  return done();
}

answer listen(turn& t, const json& body) {
  if (body.contains("stop")) {
    t.unfollow(body["stop"].get<std::string>());
    return done();
  }
  return json{
      {"feed",
       t.follow({.kind = "ticks", .body = body, .on_batch = "account.heard", .on_end = "account.hung_up"})}};
}

answer heard(turn& t, const json& body) {
  for (const auto& e : body["entries"]) t.append("moves", {{"heard", e}});
  return done();
}

answer hung_up(turn& t, const json& body) {
  t.run("INSERT INTO log (text) VALUES (?)", "hung up: " + body.dump());
  return done();
}

answer close(turn& t, const json&) {
  t.send(bank_of(t), "bank.apply_closed", json::object());
  t.retire();
  return done();
}

answer note(turn& t, const json& body) {
  t.append("moves", body);
  return done();
}

// Spins inside SQLite until it is stopped.
answer slow(turn& t, const json&) {
  t.each("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0",
         [](const storage::row&) {});
  return done();
}

// Sends what its target does not take from it.
answer cheat(turn& t, const json& body) {
  t.send(key(body["to"].get<std::string>()), body["name"].get<std::string>(),
         body.value("body", json::object()));
  return done();
}

answer read_account(const view& v, const json& body) {
  json log = json::array();
  v.each("SELECT text FROM log ORDER BY id",
         [&](const storage::row& r) { log.push_back(r.get<std::string>(0)); });
  if (body.contains("sneak")) v.each("UPDATE balance SET amount = 1000000", [](const storage::row&) {});
  return json{{"amount", amount(v)}, {"log", log}};
}

json account_snapshot(const view& v) {
  return read_account(v, json::object()).result();
}

}  // namespace

const kind& bank_kind() {
  static const kind k{
      .name = "bank",
      .schema = {bank_steps, bank_files},
      .commands =
          {
              {"bank.open", from::host(), lane::interactive, open_bank, {}, true},
              {"bank.make", from::client("member") | from::host(), lane::interactive, make_account,
               "account.made"},
              {"bank.apply_balance", from::child(), lane::background, apply_balance},
              {"bank.close", from::client("owner") | from::host(), lane::interactive, close_account},
              {"bank.apply_closed", from::child(), lane::interactive, apply_closed},
          },
      .queries = {{"bank.list", "viewer", list_accounts}},
      .snapshot = bank_snapshot,
  };
  return k;
}

const kind& account_kind() {
  static const kind k{
      .name = "account",
      .schema = {account_steps, account_files},
      .commands =
          {
              {"account.start", from::parent(), lane::interactive, start_account, {}, true},
              {"account.deposit", from::client("member"), lane::interactive, deposit},
              {"account.pay", from::client("member"), lane::interactive, pay},
              {"account.receive", from::kind("account", 2), lane::background, receive},
              {"account.paid", from::reply(), lane::interactive, paid},
              {"account.fail", from::client("member"), lane::interactive, fail},
              {"account.remind", from::client("member"), lane::interactive, remind},
              {"account.ring", from::self(), lane::interactive, ring},
              {"account.fetch", from::client("member"), lane::interactive, fetch},
              {"account.fetched", from::effect(), lane::interactive, fetched},
              {"account.listen", from::client("member"), lane::interactive, listen},
              {"account.heard", from::effect(), lane::background, heard},
              {"account.hung_up", from::effect(), lane::interactive, hung_up},
              {"account.close", from::parent(), lane::interactive, close},
              {"account.note", from::client("member"), lane::background, note},
              {"account.slow", from::client("member"), lane::interactive, slow},
              {"account.cheat", from::client("member"), lane::interactive, cheat},
          },
      .queries = {{"account.read", "viewer", read_account}},
      .snapshot = account_snapshot,
      .streams = {{"moves", "viewer", 0}},
  };
  return k;
}

}  // namespace troupe::testing
