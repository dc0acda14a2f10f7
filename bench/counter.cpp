#include "bench/counter.h"

#include <array>

#include "runtime/tables.h"

namespace troupe::bench {
namespace {

using namespace std::string_view_literals;

constexpr storage::migration tables[] = {{1,
                                          "CREATE TABLE counter(id INTEGER PRIMARY KEY CHECK (id = 1), n "
                                          "INTEGER NOT NULL); INSERT INTO counter VALUES(1, 0)"}};

constexpr schema_file files[] = {
    {"counter.add.body.json",
     R"({"type":"object","required":["n"],"additionalProperties":false,"properties":{"n":{"type":"integer"}}})"},
    {"counter.add.result.json", R"({"type":"object"})"},
    {"counter.pass.body.json",
     R"({"type":"object","required":["to"],"additionalProperties":false,"properties":{"to":{"type":"string"}}})"},
    {"counter.pass.result.json", R"({"type":"object"})"},
    {"counter.later.body.json", R"({"type":"object"})"},
    {"counter.later.result.json", R"({"type":"object"})"},
    {"counter.read.body.json", R"({"type":"object"})"},
    {"counter.read.result.json", R"({"type":"object"})"},
    {"counter.open.body.json", R"({"type":"object"})"},
    {"counter.open.result.json", R"({"type":"object"})"},
    {"snapshot.json", R"({"type":"object"})"},
};

answer open(turn&, const json&) {
  return done();
}

answer add(turn& t, const json& body) {
  t.run("UPDATE counter SET n = n + ?", body.at("n").get<std::int64_t>());
  return json{{"n", t.one<std::int64_t>("SELECT n FROM counter").value_or(0)}};
}

answer pass(turn& t, const json& body) {
  t.send(key(body.at("to").get<std::string>()), "counter.add", {{"n", 1}});
  return done();
}

json snapshot(const view& v) {
  return {{"n", v.one<std::int64_t>("SELECT n FROM counter").value_or(0)}};
}

answer read(const view& v, const json&) {
  return snapshot(v);
}

// A change of one counter as storage/changes.h encodes it.
constexpr std::string_view one_change =
    "\x84\x61~\x67"
    "counter\x01\xbf\x61n\x82\x19\x01\x00\x19\x01\x01\xff"sv;

}  // namespace

const kind& counter(bool recording) {
  static const auto made = [](bool rows) {
    return kind{
        .name = "counter",
        .schema = {tables, files},
        .commands = {{"counter.open", from::host(), lane::interactive, open, {}, true},
                     {"counter.add", from::client("member") | from::kind("counter", 0), lane::interactive,
                      add},
                     {"counter.later", from::client("member"), lane::background, add},
                     {"counter.pass", from::client("member"), lane::interactive, pass}},
        .queries = {{"counter.read", "viewer", read}},
        .snapshot = snapshot,
        .record_changes = rows,
    };
  };
  static const kind with = made(true), without = made(false);
  return recording ? with : without;
}

plain_counter::plain_counter(const std::filesystem::path& file, storage::durability sync, bool recording)
    : db_(file, {.sync = sync}), recording_(recording) {
  const std::array schemas{storage::schema{"runtime", runtime_tables()}, storage::schema{"counter", tables}};
  db_.migrate(schemas);
  db_.run(
      "INSERT OR IGNORE INTO rt_meta VALUES(1, 'counter/c1', '0123456789abcdef0123456789abcdef', 0, 0, 0, "
      "0)");
  number_ = db_.one<std::int64_t>("SELECT turn FROM rt_meta").value_or(0);
  command_ = db_.one<std::int64_t>("SELECT max(seq) FROM rt_inbox").value_or(0);
}

void plain_counter::turn(int commands) {
  static const storage::blob hash(16, std::byte{7});
  std::string changes;
  ++number_;
  db_.begin();
  for (int i = 0; i < commands; ++i) {
    ++command_;
    db_.run("UPDATE counter SET n = n + ?", 1);
    db_.run(
        "INSERT INTO rt_inbox (turn, time, source, sender, principal, id, name, body, hash, ok, result, "
        "duration_us, "
        "changes_at, changes_end) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        number_, std::int64_t{1'795'000'000'000}, 0, "me", "me", "b-" + std::to_string(command_),
        "counter.add", "{\"n\":1}", hash, true, "{\"n\":100000}", 20,
        static_cast<std::int64_t>(changes.size()),
        static_cast<std::int64_t>(changes.size() + (recording_ ? one_change.size() : 0)));
    if (recording_) changes += one_change;
  }
  if (recording_) db_.run("INSERT INTO rt_changes VALUES (?, ?)", number_, storage::as_blob(changes));
  db_.run("UPDATE rt_meta SET turn = ?, revision = ?", number_, number_);
  db_.commit();
}

}  // namespace troupe::bench
