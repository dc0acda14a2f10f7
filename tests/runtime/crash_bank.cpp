#include "tests/runtime/crash_bank.h"

#include <future>
#include <random>

using namespace troupe;

namespace crash_bank {
namespace {

constexpr std::int64_t tick_ms = 20;

constexpr storage::migration tables[] = {
    {1,
     "CREATE TABLE state(id INTEGER PRIMARY KEY CHECK (id = 1), balance INTEGER NOT NULL, asked INTEGER NOT "
     "NULL,"
     " noted INTEGER NOT NULL, ticks INTEGER NOT NULL);"
     "CREATE TABLE sent(n INTEGER PRIMARY KEY, id TEXT NOT NULL, target TEXT NOT NULL, seq INTEGER NOT NULL,"
     " amount INTEGER NOT NULL);"
     "CREATE INDEX sent_target ON sent(target, seq);"
     "CREATE TABLE got(n INTEGER PRIMARY KEY, sender TEXT NOT NULL, seq INTEGER NOT NULL, amount INTEGER NOT "
     "NULL)"}};

constexpr std::string_view any_object = R"({"type":"object"})";
constexpr schema_file files[] = {
    {"account.transfer.body.json",
     R"({"type":"object","required":["amount","path"],"additionalProperties":false,"properties":{
        "amount":{"type":"integer"},"path":{"type":"array","items":{"type":"string"},"minItems":1}}})"},
    {"account.transfer.result.json", R"({"type":"object","required":["n"]})"},
    {"account.open.body.json", any_object},
    {"account.open.result.json", any_object},
    {"account.receive.body.json", any_object},
    {"account.receive.result.json", any_object},
    {"account.report.body.json", any_object},
    {"account.report.result.json", any_object},
    {"account.tick.body.json", any_object},
    {"account.tick.result.json", any_object},
    {"snapshot.json", any_object},
    {"journal.entry.json", any_object},
};

void arm(turn& t) {
  t.set_timer("tick", t.now() + std::chrono::milliseconds(tick_ms), "account.tick");
}

answer open(turn& t, const json&) {
  t.run("INSERT OR IGNORE INTO state VALUES(1, ?, 0, 0, 0)", opening_balance);
  arm(t);
  return done();
}

// Pays `amount` to the first of `path`, who passes it on along the rest.
std::int64_t pay(turn& t, const std::string& id, std::int64_t amount, const json& path) {
  auto target = path.at(0).get<std::string>();
  auto n = t.one<std::int64_t>("SELECT max(n) FROM sent").value_or(0) + 1;
  auto seq = t.one<std::int64_t>("SELECT max(seq) FROM sent WHERE target = ?", target).value_or(0) + 1;
  t.run("INSERT INTO sent VALUES(?, ?, ?, ?, ?)", n, id, target, seq, amount);
  t.run("UPDATE state SET balance = balance - ?, asked = asked + 1", amount);
  t.send(key(target), "account.receive",
         {{"amount", amount}, {"seq", seq}, {"id", id}, {"path", json(path.begin() + 1, path.end())}});
  t.start({.kind = "note", .body = {{"n", n}}, .then = "account.noted"});
  t.append("journal", {{"n", n}, {"target", target}});
  return n;
}

answer transfer(turn& t, const json& body) {
  return json{{"n", pay(t, t.command_id(), body.at("amount").get<std::int64_t>(), body.at("path"))}};
}

answer receive(turn& t, const json& body) {
  auto amount = body.at("amount").get<std::int64_t>();
  t.run("INSERT INTO got(sender, seq, amount) VALUES(?, ?, ?)", t.from().actor,
        body.at("seq").get<std::int64_t>(), amount);
  t.run("UPDATE state SET balance = balance + ?", amount);
  if (!body.at("path").empty()) pay(t, body.at("id").get<std::string>() + "+", amount, body.at("path"));
  return done();
}

answer noted(turn& t, const json& body) {
  if (!outcome::of(body).ok()) return conflict("effect_failed", body.dump());
  t.run("UPDATE state SET noted = noted + 1");
  return done();
}

answer tick(turn& t, const json&) {
  t.run("UPDATE state SET ticks = ticks + 1");
  arm(t);
  return done();
}

json counts(const view& v) {
  json out;
  v.each(
      "SELECT balance, asked, noted, ticks, (SELECT count(*) FROM sent), (SELECT count(*) FROM got) FROM "
      "state",
      [&](const storage::row& r) {
        out = {{"balance", r.get<std::int64_t>(0)}, {"asked", r.get<std::int64_t>(1)},
               {"noted", r.get<std::int64_t>(2)},   {"ticks", r.get<std::int64_t>(3)},
               {"sent", r.get<std::int64_t>(4)},    {"got", r.get<std::int64_t>(5)}};
      });
  return out;
}

// Rows of `sent` or `got` after a number, in order.
answer report(const view& v, const json& body) {
  json rows = json::array();
  auto add = [&](const storage::row& r) {
    rows.push_back(
        {r.get<std::int64_t>(0), r.get<std::string>(1), r.get<std::int64_t>(2), r.get<std::string>(3)});
  };
  auto after = body.at("after").get<std::int64_t>();
  if (body.at("of") == "sent") {
    v.each("SELECT n, target, seq, id FROM sent WHERE n > ? ORDER BY n LIMIT 1000", add, after);
  } else {
    v.each("SELECT n, sender, seq, '' FROM got WHERE n > ? ORDER BY n LIMIT 1000", add, after);
  }
  return json{{"rows", std::move(rows)}};
}

std::mt19937_64 dice(const std::string& id) {
  return std::mt19937_64(std::hash<std::string>()(id));
}

}  // namespace

const kind& account() {
  static const kind k{
      .name = "account",
      .schema = {tables, files},
      .commands = {{"account.open", from::host(), lane::interactive, open, {}, true},
                   {"account.transfer", from::client("member"), lane::interactive, transfer},
                   {"account.receive", from::kind("account", 0), lane::interactive, receive},
                   {"account.noted", from::effect(), lane::interactive, noted},
                   {"account.tick", from::self(), lane::interactive, tick}},
      .queries = {{"account.report", "viewer", report}},
      .snapshot = counts,
      .streams = {{"journal", "viewer"}},
  };
  return k;
}

effect_kind note() {
  return {.name = "note", .start = [](std::shared_ptr<effect_run> run) { run->succeed(json::object()); }};
}

key account_key(int number) {
  return key("account/a" + std::to_string(number));
}

key sender_of(const std::string& id) {
  return account_key(static_cast<int>(dice(id)() % accounts));
}

json body_of(const std::string& id) {
  auto random = dice(id);
  auto at = static_cast<int>(random() % accounts);
  json path = json::array();
  for (auto hops = 1 + random() % 3; hops > 0; --hops) {
    at = (at + 1 + static_cast<int>(random() % (accounts - 1))) % accounts;
    path.push_back(account_key(at).str());
  }
  return {{"amount", 1 + random() % 50}, {"path", path}};
}

bool open_all(host& h, std::chrono::seconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  for (int i = 0; i < accounts; ++i) {
    for (;;) {
      auto opened = std::make_shared<std::promise<bool>>();
      auto answered = opened->get_future();
      h.command_as_host(
          account_key(i), "account.open", json::object(), "open",
          [opened](reply r) { opened->set_value(r.ok()); }, true);
      if (answered.wait_until(until) != std::future_status::ready) return false;
      if (answered.get()) break;
      if (std::chrono::steady_clock::now() > until) return false;
    }
  }
  return true;
}

}  // namespace crash_bank
