#include "runtime/inspect.h"

#include <map>
#include <random>

#include <doctest/doctest.h>

#include "tests/runtime/world.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr std::string_view anything = R"({"type":"object"})";

// Keys of each form: several columns, one that is the rowid, one that is text.
constexpr storage::migration shelf_tables[] = {{1, R"(
CREATE TABLE books (shelf TEXT, place INTEGER, title TEXT, pages INTEGER, PRIMARY KEY (shelf, place)) WITHOUT ROWID;
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT, weight REAL, cover BLOB);
CREATE TABLE labels (name TEXT PRIMARY KEY, secret TEXT);
)"}};
constexpr schema_file shelf_schemas[] = {{"shelf.make.body.json", anything},
                                         {"shelf.put.body.json", anything},
                                         {"shelf.put.result.json", anything},
                                         {"shelf.shuffle.body.json", anything},
                                         {"shelf.shuffle.result.json", anything}};

answer make_shelf(turn&, const json&) {
  return done();
}

answer put(turn& t, const json& body) {
  const auto n = body["n"].get<std::int64_t>();
  t.run("INSERT OR REPLACE INTO books VALUES (?, ?, ?, ?)", n % 2 ? "left" : "right", n % 3,
        "book " + std::to_string(n), n);
  t.run("INSERT INTO notes (text, weight, cover) VALUES (?, ?, x'00ff')", "note " + std::to_string(n),
        0.5 * static_cast<double>(n));
  t.run("INSERT OR REPLACE INTO labels VALUES (?, 'swordfish')", "label " + std::to_string(n % 4));
  return done();
}

answer shuffle(turn& t, const json& body) {
  const auto n = body["n"].get<std::int64_t>();
  if (n % 3 == 0) t.run("UPDATE OR REPLACE books SET place = place + 10 WHERE shelf = 'left'");
  if (n % 3 == 1)
    t.run("UPDATE notes SET id = id + 1000, text = text || '!' WHERE id = (SELECT min(id) FROM notes)");
  if (n % 4 == 2) t.run("DELETE FROM books WHERE pages % 2 = ?", n % 2);
  if (n % 5 == 3) t.run("DELETE FROM notes WHERE id % 2 = 0");
  if (n % 7 == 0) return conflict("no", "it does not want to");
  return done();
}

const kind& shelf() {
  static const kind k{.name = "shelf",
                      .schema = {shelf_tables, shelf_schemas},
                      .commands = {{"shelf.make", from::host(), lane::interactive, make_shelf, {}, true},
                                   {"shelf.put", from::client("member"), lane::interactive, put},
                                   {"shelf.shuffle", from::client("member"), lane::interactive, shuffle}},
                      .secret_columns = {"labels.secret"}};
  return k;
}

const key mine("shelf/mine");
const key payer("bank/b/account/a");

/// Its rows as they are now, in the form of at().
json rows_now(const inspector& i) {
  const auto now = std::get<json>(i.actor(mine))["meta"]["turn"].get<std::uint64_t>();
  return std::get<json>(i.at(mine, now))["tables"];
}

/// Rows by table and key.
std::map<std::string, json> by_key(const json& tables) {
  std::map<std::string, json> all;
  for (const auto& [name, t] : tables.items()) {
    for (const auto& row : t["rows"]) {
      json k = t["key"].size() == 1 ? row[t["key"][0].get<std::string>()] : json::array();
      if (k.is_array()) {
        for (const auto& column : t["key"]) k.push_back(row[column.get<std::string>()]);
      }
      all[name + k.dump()] = row;
    }
  }
  return all;
}

struct shelves : world {
  shelves() : world([](host_options& o) { o.kinds.push_back(&shelf()); }) {
    as_host(mine.str(), "shelf.make", json::object(), "make", true);
  }
};

}  // namespace

TEST_CASE("the rows of any turn are told as they were, and two turns differ by what the diff says") {
  shelves w;
  const inspector i(*w.is);
  std::mt19937 dice(7);
  std::map<std::uint64_t, json> was;
  for (int n = 0; n < 60; ++n) {
    const auto r = w.command(mine.str(), dice() % 2 ? "shelf.put" : "shelf.shuffle", {{"n", dice() % 100}});
    REQUIRE(r.turn > 0);
    was[r.turn] = rows_now(i);
  }
  for (const auto& [turn, tables] : was) {
    CAPTURE(turn);
    CHECK(std::get<json>(i.at(mine, turn))["tables"] == tables);
  }
  CHECK(std::get<json>(i.at(mine, 1))["tables"]["notes"]["rows"].empty());
  CHECK(was.rbegin()->second.dump().find("swordfish") == std::string::npos);

  for (int n = 0; n < 40; ++n) {
    auto from = std::next(was.begin(), static_cast<int>(dice() % was.size())),
         to = std::next(from, static_cast<int>(dice() % std::distance(from, was.end())));
    CAPTURE(from->first);
    CAPTURE(to->first);
    auto rows = by_key(from->second);
    const auto changes = std::get<json>(i.diff(mine, from->first, to->first))["changes"];
    // What went away first: a row that moved may have taken another one's key.
    std::map<std::string, json> changed;
    for (const auto& c : changes) {
      const auto name = c[1].get<std::string>() + c[2].dump();
      if (c[0] == "+") changed[name] = c[3];
      if (c[0] == "-") CHECK_MESSAGE(rows.erase(name) == 1, c.dump());
      if (c[0] != "~") continue;
      REQUIRE_MESSAGE(rows.contains(name), c.dump());
      auto row = rows[name];
      rows.erase(name);
      for (const auto& [column, values] : c[3].items()) row[column] = values[1];
      const auto& columns = from->second[c[1].get<std::string>()]["key"];
      json k = columns.size() == 1 ? row[columns[0].get<std::string>()] : json::array();
      if (k.is_array()) {
        for (const auto& column : columns) k.push_back(row[column.get<std::string>()]);
      }
      changed[c[1].get<std::string>() + k.dump()] = row;
    }
    rows.insert(changed.begin(), changed.end());
    CHECK(json(rows) == json(by_key(to->second)));
  }
}

TEST_CASE("why a row is as it is: the command that changed it last comes first") {
  world w;
  w.open({"a"});
  w.command(payer.str(), "account.deposit", {{"amount", 5}}, "d1");
  w.command(payer.str(), "account.note", {{"text", "unrelated"}}, "n1");
  const inspector i(*w.is);
  const auto why = std::get<json>(i.why(payer, "balance", "1"))["changes"];
  REQUIRE(why.size() == 2);
  CHECK(why[0]["id"] == "d1");
  CHECK(why[0]["change"] == json::parse(R"(["~","balance",1,{"amount":[100,105]}])"));
  CHECK(why[1]["name"] == "account.start");
  CHECK(std::get<json>(i.why(payer, "balance", "2"))["changes"].empty());
}

TEST_CASE("turns that are not kept, or not there yet, are refused in words") {
  shelves w;
  const inspector i(*w.is);
  const auto last = w.command(mine.str(), "shelf.put", {{"n", 1}}).turn;
  CHECK(std::get<problem>(i.at(mine, last + 1)).detail ==
        "the last turn of shelf/mine is " + std::to_string(last));
  CHECK(std::get<problem>(i.diff(mine, last, 1)).code == "bad_range");
  CHECK(std::get<problem>(i.at(mine, last, "nothing")).status == 404);
  {
    storage::database db(w.is->folder(mine) / "actor.sqlite");
    db.run("DELETE FROM rt_inbox WHERE turn < ?", static_cast<std::int64_t>(last));
  }
  CHECK(std::get<problem>(i.at(mine, 0)).status == 410);
  CHECK(i.at(mine, last - 1).index() == 0);
}

TEST_CASE("what waits is listed with its actor: messages, effects, feeds, timers") {
  world w;
  w.open({"a"});
  w.command(payer.str(), "account.fetch", {{"url", "x"}});
  w.command(payer.str(), "account.remind", {{"in_ms", 60'000}});
  const inspector i(*w.is);
  const auto effects = std::get<json>(i.list(inspector::waiting::effects, "bank/"))["effects"];
  REQUIRE(effects.size() == 1);
  CHECK(effects[0]["actor"] == payer.str());
  CHECK(effects[0]["kind"] == "fetch");
  const auto timers = std::get<json>(i.list(inspector::waiting::timers, payer.str()))["timers"];
  REQUIRE(timers.size() == 1);
  CHECK(timers[0]["command"] == "account.ring");
  CHECK(std::get<json>(i.list(inspector::waiting::timers, "bank/c"))["timers"].empty());
}

TEST_CASE("the graph counts what actors have sent each other") {
  world w;
  w.open({"a", "c"});
  const inspector i(*w.is);
  const auto edges = std::get<json>(i.graph("bank/"))["edges"];
  json to_bank = 0, from_bank = 0;
  for (const auto& e : edges) (e["to"] == "bank/b" ? to_bank : from_bank) = e["messages"];
  CHECK(edges.size() == 4);
  CHECK(to_bank == 1);
  CHECK(from_bank == 1);
}

TEST_CASE("a data folder at rest is looked into without a host") {
  world w;
  w.open({"a"});
  w.command(payer.str(), "account.deposit", {{"amount", 5}}, "d1");
  w.command(payer.str(), "account.remind", {{"in_ms", 60'000}});
  w.end();
  const inspector i(w.data.path() / "data", {&bank_kind(), &account_kind()});
  CHECK(std::get<json>(i.actors({.prefix = "bank/"}))["actors"].size() == 2);
  CHECK(std::get<json>(i.actor(payer))["meta"]["turn"] == 3);
  CHECK(std::get<json>(i.history(payer, 0, 1, true))["history"][0]["name"] == "account.remind");
  CHECK(std::get<json>(i.at(payer, 1))["tables"]["balance"]["rows"] ==
        json::parse(R"([{"id":1,"amount":100}])"));
  CHECK(std::get<json>(i.queue(payer))["queue"].empty());
  CHECK(std::get<json>(i.list(inspector::waiting::timers, ""))["timers"].size() == 1);
  CHECK_THROWS_AS(inspector(w.data.path() / "elsewhere", {}), storage::error);
}

TEST_CASE("a mistake in a statement is told as the asker's, in SQLite's words") {
  world w;
  w.open({"a"});
  const inspector i(*w.is);
  const auto why = std::get<problem>(i.query(payer, "SELECT amout FROM balance"));
  CHECK(why.code == "bad_sql");
  CHECK(why.detail == "SQLite does not take this statement: no such column: amout");
}

TEST_CASE("a file below a folder of no kind is no actor to look into") {
  world w;
  w.open({"a"});
  const auto fake = w.is->folder(payer) / "files" / "x" / "account" / "y";
  std::filesystem::create_directories(fake);
  std::filesystem::copy_file(w.is->folder(payer) / "actor.sqlite", fake / "actor.sqlite");
  const inspector i(*w.is);
  const key k(payer.str() + "/files/x/account/y");
  CHECK(std::get<problem>(i.actor(k)).status == 404);
  CHECK(std::get<problem>(i.query(k, "SELECT 1")).status == 404);
  CHECK(std::get<problem>(i.history(k, 0, 10)).status == 404);
}
