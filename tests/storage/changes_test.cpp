#include "storage/changes.h"

#include <nlohmann/json.hpp>

#include "storage/database.h"
#include "tests/storage/expect.h"
#include "tests/storage/scratch.h"

using namespace troupe::storage;
using nlohmann::json;

namespace {

struct recorder : change_recorder {
  bool wants(std::string_view table) override { return table != "private"; }
  json all(std::size_t from = 0, std::size_t to = std::string::npos) const {
    return json::from_cbor(as_cbor_array(sequence(from, to)));
  }
};

struct recorded {
  scratch dir;
  database db{dir / "a.sqlite"};
  recorder changes;
  recorded() {
    db.script(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT, n REAL);"
        "CREATE TABLE pair(a TEXT, b INTEGER, v, PRIMARY KEY(b, a)) WITHOUT ROWID;"
        "CREATE TABLE plain(x);"
        "CREATE TABLE private(x);"
        "CREATE TABLE child(t INTEGER REFERENCES t(id) ON DELETE CASCADE)");
    db.record_changes(&changes);
  }
};

}  // namespace

TEST_CASE_FIXTURE(recorded,
                  "each inserted, updated and deleted row is one change with table, key and values") {
  db.run("INSERT INTO t VALUES(7, 'one', 0.5)");
  db.run("UPDATE t SET body='two'");
  db.run("DELETE FROM t");
  CHECK(changes.all() == json::parse(R"([["+","t",7,{"id":7,"body":"one","n":0.5}],
                                         ["~","t",7,{"body":["one","two"]}],
                                         ["-","t",7,{"id":7,"body":"two","n":0.5}]])"));
  CHECK(changes.count() == 3);
}

TEST_CASE_FIXTURE(recorded,
                  "the key is the primary key's columns in its order, and the rowid where there is none") {
  db.run("INSERT INTO pair VALUES('k', 3, NULL)");
  db.run("INSERT INTO plain(rowid, x) VALUES(42, -1)");
  CHECK(changes.all() ==
        json::parse(R"([["+","pair",[3,"k"],{"a":"k","b":3,"v":null}],["+","plain",42,{"x":-1}]])"));
}

TEST_CASE_FIXTURE(recorded, "rows that a cascade removes are changes too") {
  db.run("INSERT INTO t VALUES(1, NULL, NULL)");
  db.run("INSERT INTO child VALUES(1)");
  changes.clear();
  db.run("DELETE FROM t");
  CHECK(changes.count() == 2);
}

TEST_CASE_FIXTURE(recorded, "a table that the sink does not want is not recorded") {
  db.run("INSERT INTO private VALUES('secret')");
  CHECK(changes.empty());
}

TEST_CASE_FIXTURE(recorded, "a table made later is recorded with the numbers of its columns") {
  db.script("CREATE TABLE later(a, b)");
  changes.clear();  // the new table's own row in the schema
  db.run("INSERT INTO later VALUES(1, 2)");
  CHECK(changes.all() == json::parse(R"([["+","later",1,{"0":1,"1":2}]])"));
  db.record_changes(&changes);
  changes.clear();
  db.run("INSERT INTO later VALUES(3, 4)");
  CHECK(changes.all() == json::parse(R"([["+","later",2,{"a":3,"b":4}]])"));
}

TEST_CASE_FIXTURE(recorded,
                  "a mark cuts one command's changes out of a turn's, and a rewind forgets one command") {
  transaction turn(db);
  db.run("INSERT INTO plain VALUES('a')");
  auto second = changes.mark();
  db.savepoint();
  db.run("INSERT INTO plain VALUES('fails')");
  db.rollback_to();
  changes.rewind(second);
  db.run("INSERT INTO plain VALUES('b')");
  turn.commit();
  CHECK(changes.all(0, second).size() == 1);
  CHECK(changes.all(second).at(0).at(3) == json{{"x", "b"}});
  CHECK(changes.all().size() == 2);
}

TEST_CASE_FIXTURE(recorded, "numbers of every size and sign survive the encoding") {
  for (std::int64_t n : {0L, 23L, 24L, 255L, 256L, 65535L, 65536L, 4294967295L, 4294967296L,
                         std::numeric_limits<std::int64_t>::max(), -1L, -24L, -25L, -256L, -257L, -65537L,
                         -4294967297L, std::numeric_limits<std::int64_t>::min()}) {
    changes.clear();
    db.run("INSERT INTO plain VALUES(?)", n);
    CHECK(changes.all().at(0).at(3).at("x") == json(n));
  }
}

TEST_CASE_FIXTURE(recorded,
                  "a long text is cut between characters and keeps its size, a long blob is cut too") {
  std::string text = "x";
  while (text.size() < 5000) text += "é";
  db.run("INSERT INTO plain VALUES(?)", text);
  db.run("INSERT INTO plain VALUES(?)", blob(5000, std::byte{1}));
  auto all = changes.all();
  auto cut = all.at(0).at(3).at("x");
  CHECK(cut.at("size") == text.size());
  auto kept = cut.at("cut").get<std::string>();
  CHECK(kept.size() <= max_change_value);
  CHECK(kept.size() >= max_change_value - 3);
  CHECK_NOTHROW(all.at(0).dump());
  CHECK(all.at(1).at(3).at("x").at("size") == 5000);
  CHECK(all.at(1).at(3).at("x").at("cut").get_binary().size() == max_change_value);
  CHECK(changes.sequence().size() < 3 * max_change_value);
}

TEST_CASE_FIXTURE(recorded, "a recording that is full counts what it drops and stays readable") {
  const std::string body(max_change_value, 'x');
  transaction turn(db);
  const int many = static_cast<int>(max_changes_size / max_change_value) + 50;
  for (int i = 0; i < many; ++i) db.run("INSERT INTO plain VALUES(?)", body);
  auto mark = changes.mark();
  db.run("INSERT INTO plain VALUES('one more')");
  CHECK(changes.sequence(mark).empty());
  CHECK(changes.sequence().size() < max_changes_size + 2 * max_change_value);
  auto all = changes.all();
  CHECK(all.back().at(0) == "…");
  CHECK(all.back().at(1).get<int>() + static_cast<int>(all.size()) - 1 == many + 1);
  changes.rewind(0);
  db.run("INSERT INTO plain VALUES('again')");
  CHECK(changes.all().size() == 1);
}

TEST_CASE_FIXTURE(recorded, "nothing is recorded once recording has ended") {
  db.record_changes(nullptr);
  db.run("INSERT INTO plain VALUES(1)");
  CHECK(changes.empty());
}
