#include "storage/reader.h"

#include "storage/database.h"
#include "tests/storage/expect.h"
#include "tests/storage/scratch.h"

using namespace troupe::storage;
using namespace std::chrono_literals;

namespace {

struct full_file {
  scratch dir;
  std::filesystem::path file = dir / "a.sqlite";
  database db{file};
  full_file() {
    db.script(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT); CREATE INDEX i ON t(body); "
        "INSERT INTO t(body) SELECT 'row ' || value FROM json_each('[1,2,3]')");
  }
};

}  // namespace

TEST_CASE_FIXTURE(full_file,
                  "a reader sees what is committed while the owner is in the middle of a transaction") {
  transaction t(db);
  db.run("INSERT INTO t(body) VALUES('not yet')");
  reader r(file);
  const value wanted[] = {std::int64_t{2}};
  auto found = r.run("SELECT id, body FROM t WHERE id >= ? ORDER BY id", wanted);
  CHECK(found.columns == std::vector<std::string>{"id", "body"});
  REQUIRE(found.rows.size() == 2);
  CHECK(found.rows[1][1] == value(std::string("row 3")));
  CHECK_FALSE(found.truncated);
}

TEST_CASE_FIXTURE(full_file, "a reader neither writes nor attaches nor sets anything") {
  reader r(file);
  for (std::string_view sql :
       {"DELETE FROM t", "INSERT INTO t(body) VALUES('x')", "CREATE TABLE u(x)", "CREATE TEMP TABLE u(x)",
        "DROP TABLE t", "ATTACH '/tmp/other' AS o", "PRAGMA user_version=9", "PRAGMA journal_mode=DELETE",
        "PRAGMA writable_schema=1", "VACUUM INTO '/tmp/other'", "BEGIN", "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM t", "PRAGMA optimize", "REINDEX", "UPDATE sqlite_master SET sql=''",
        "UPDATE t SET body=''", "WITH x AS (SELECT 1) DELETE FROM t RETURNING id"}) {
    CAPTURE(sql);
    CHECK_THROWS_AS(r.run(sql), error);
  }
  CHECK(db.one<int>("SELECT count(*) FROM t") == 3);
  CHECK(r.run("SELECT count(*) FROM t").rows.at(0).at(0) == value(std::int64_t{3}));
  CHECK(db.one<int>("PRAGMA user_version") == file_format);
}

TEST_CASE_FIXTURE(full_file, "a reader may look at the schema") {
  reader r(file);
  CHECK(r.run("SELECT name FROM sqlite_schema").rows.size() == 2);
  CHECK(r.run("PRAGMA table_info(t)").rows.size() == 2);
  CHECK(r.run("SELECT name FROM pragma_table_info('t')").rows.size() == 2);
  CHECK(r.run("PRAGMA user_version").rows.size() == 1);
  CHECK(r.run("PRAGMA quick_check").rows.at(0).at(0) == value(std::string("ok")));
}

TEST_CASE_FIXTURE(full_file,
                  "what exceeds a reader's rows or bytes is cut and says so, what just fits does not") {
  CHECK(reader(file, {.rows = 2}).run("SELECT * FROM t").truncated);
  CHECK(reader(file, {.rows = 2}).run("SELECT * FROM t").rows.size() == 2);
  CHECK_FALSE(reader(file, {.rows = 3}).run("SELECT * FROM t").truncated);
  auto cut = reader(file, {.bytes = 5000}).run("SELECT zeroblob(4000) FROM t");
  CHECK(cut.truncated);
  CHECK(cut.rows.size() == 2);
  CHECK(kind_of([&] { reader(file, {.bytes = 5000}).run("SELECT zeroblob(1000000)"); }) ==
        failure::constraint);
}

TEST_CASE_FIXTURE(full_file,
                  "a query without end is stopped at a reader's time limit, and the next one runs") {
  reader r(file, {.time = 50ms});
  CHECK(kind_of([&] {
          r.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT sum(i) FROM n");
        }) == failure::interrupted);
  CHECK(r.run("SELECT 1").rows.size() == 1);
}

TEST_CASE("reading a file that is not there is missing and creates nothing") {
  scratch dir;
  CHECK(kind_of([&] { reader r(dir / "a.sqlite"); }) == failure::missing);
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("the file of a sleeping owner can be read, and be opened by its owner afterwards") {
  scratch dir;
  auto file = dir / "a.sqlite";
  { database(file).script("CREATE TABLE t(x); INSERT INTO t VALUES(1)"); }
  CHECK(reader(file).run("SELECT x FROM t").rows.size() == 1);
  database db(file);
  db.run("INSERT INTO t VALUES(2)");
  CHECK(db.one<int>("SELECT count(*) FROM t") == 2);
}
