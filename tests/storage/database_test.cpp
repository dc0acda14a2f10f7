#include "storage/database.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <thread>

#include <doctest/doctest.h>

#include "tests/storage/expect.h"
#include "tests/storage/scratch.h"

using namespace troupe::storage;
using namespace std::chrono_literals;

namespace {

constexpr std::array first_steps{
    migration{1, "CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT"}};

}  // namespace

TEST_CASE("every kind of value comes back as it was bound") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.script("CREATE TABLE v(i, r, t, b, n, o)");
  const blob bytes{std::byte{0}, std::byte{255}, std::byte{7}};
  db.run("INSERT INTO v VALUES(?, ?, ?, ?, ?, ?)", std::int64_t{-5}, 2.5, std::string_view("a\0b", 3), bytes,
         nullptr, std::optional<int>());
  int rows = 0;
  db.each("SELECT * FROM v", [&](const row& r) {
    ++rows;
    CHECK(r.get<std::int64_t>(0) == -5);
    CHECK(r.get<int>(0) == -5);
    CHECK(r.get<double>(1) == 2.5);
    CHECK(r.get<std::string>(2) == std::string("a\0b", 3));
    CHECK(r.get<blob>(3) == bytes);
    CHECK(r.is_null(4));
    CHECK(r.get<std::optional<int>>(5) == std::nullopt);
    CHECK(r.as_value(0) == value(std::int64_t{-5}));
    CHECK(r.as_value(3) == value(bytes));
    CHECK(r.as_value(4) == value(nullptr));
    CHECK(r.columns() == 6);
    CHECK(r.name(2) == "t");
  });
  CHECK(rows == 1);
}

TEST_CASE("an empty text and an empty blob are not NULL") {
  scratch dir;
  database db(dir / "a.sqlite");
  CHECK(db.one<std::string>("SELECT typeof(?)", std::string_view()) == "text");
  CHECK(db.one<std::string>("SELECT typeof(?)", blob()) == "blob");
  CHECK(db.one<std::string>("SELECT typeof(?)", value(std::string())) == "text");
}

TEST_CASE("one answers nothing for no row and for NULL, and tells them apart when asked for an optional") {
  scratch dir;
  database db(dir / "a.sqlite");
  CHECK(db.one<int>("SELECT 1 WHERE 0") == std::nullopt);
  CHECK(db.one<int>("SELECT NULL") == std::nullopt);
  CHECK(db.one<std::optional<int>>("SELECT NULL").has_value());
  CHECK_FALSE(db.one<std::optional<int>>("SELECT 1 WHERE 0").has_value());
}

TEST_CASE(
    "a number that does not fit, NULL read as a number and an unsigned above 2^63-1 are refused, not bent") {
  scratch dir;
  database db(dir / "a.sqlite");
  CHECK(kind_of([&] { db.one<std::uint8_t>("SELECT 256"); }) == failure::misuse);
  CHECK(kind_of([&] { db.each("SELECT NULL", [](const row& r) { r.get<int>(0); }); }) == failure::misuse);
  CHECK(kind_of([&] { db.run("SELECT ?", std::numeric_limits<std::uint64_t>::max()); }) == failure::misuse);
}

TEST_CASE("a wrong number of arguments is refused before anything runs") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.migrate(first_steps, "test");
  CHECK(kind_of([&] { db.run("INSERT INTO t(body) VALUES(?)"); }) == failure::misuse);
  CHECK(kind_of([&] { db.run("INSERT INTO t(body) VALUES(?)", "a", "b"); }) == failure::misuse);
  CHECK(db.one<int>("SELECT count(*) FROM t") == 0);
}

TEST_CASE("text after the first statement is refused") {
  scratch dir;
  database db(dir / "a.sqlite");
  CHECK(kind_of([&] { db.run("SELECT 1; SELECT 2"); }) == failure::misuse);
  db.run("SELECT 1;  \n");
}

TEST_CASE("a callback that throws leaves its statement ready for the next use") {
  scratch dir;
  database db(dir / "a.sqlite");
  constexpr std::string_view sql = "SELECT value FROM json_each('[1,2,3]')";
  CHECK_THROWS_AS(db.each(sql, [](const row&) { throw std::logic_error("handler"); }), std::logic_error);
  int sum = 0;
  db.each(sql, [&](const row& r) { sum += r.get<int>(0); });
  CHECK(sum == 6);
}

TEST_CASE("the same statement may run inside itself") {
  scratch dir;
  database db(dir / "a.sqlite");
  constexpr std::string_view sql = "SELECT value FROM json_each('[1,2,3]')";
  int pairs = 0;
  db.each(sql, [&](const row&) { db.each(sql, [&](const row&) { ++pairs; }); });
  CHECK(pairs == 9);
}

TEST_CASE("a callback that answers false sees no further row") {
  scratch dir;
  database db(dir / "a.sqlite");
  int seen = 0;
  db.each("SELECT value FROM json_each('[1,2,3]')", [&](const row&) { return ++seen < 2; });
  CHECK(seen == 2);
}

TEST_CASE("a text that now lives where another lived is not taken for it") {
  scratch dir;
  database db(dir / "a.sqlite");
  std::string sql = "SELECT 1";
  CHECK(db.one<int>(sql) == 1);
  sql[7] = '2';
  CHECK(db.one<int>(sql) == 2);
}

TEST_CASE("more statements than the cache holds all run, old ones too, also while many are in use") {
  scratch dir;
  database db(dir / "a.sqlite");
  const int many = static_cast<int>(statement_cache::max_statements) * 2;
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < many; ++i) CHECK(db.one<int>("SELECT " + std::to_string(i)) == i);
  std::function<int(int)> nest = [&](int depth) {
    int reached = depth;
    if (depth < many)
      db.each("SELECT " + std::to_string(depth), [&](const row& r) {
        CHECK(r.get<int>(0) == depth);
        reached = nest(depth + 1);
      });
    return reached;
  };
  CHECK(nest(0) == many);
}

TEST_CASE("what a transaction did not commit is gone, what it committed stays") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.migrate(first_steps, "test");
  {
    transaction t(db);
    db.run("INSERT INTO t(body) VALUES('lost')");
    CHECK(db.in_transaction());
  }
  CHECK_FALSE(db.in_transaction());
  {
    transaction t(db);
    db.run("INSERT INTO t(body) VALUES(?)", "kept");
    t.commit();
  }
  CHECK(db.one<std::string>("SELECT group_concat(body) FROM t") == "kept");
  CHECK(db.changes() == 1);
  CHECK(db.last_insert_id() == 1);
}

TEST_CASE("a savepoint takes back its own rows alone, and another may follow") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.migrate(first_steps, "test");
  transaction t(db);
  for (auto [name, keep] : {std::pair("a", true), {"b", false}, {"c", true}}) {
    db.savepoint();
    db.run("INSERT INTO t(body) VALUES(?)", name);
    keep ? db.release() : db.rollback_to();
  }
  t.commit();
  CHECK(db.one<std::string>("SELECT group_concat(body) FROM t") == "a,c");
}

TEST_CASE("a row that breaks a rule is a constraint failure and leaves the transaction open") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.migrate(first_steps, "test");
  transaction t(db);
  db.run("INSERT INTO t(id, body) VALUES(1, 'a')");
  CHECK(kind_of([&] { db.run("INSERT INTO t(id, body) VALUES(1, 'b')"); }) == failure::constraint);
  CHECK(db.in_transaction());
  t.commit();
  CHECK(db.one<int>("SELECT count(*) FROM t") == 1);
}

TEST_CASE("foreign keys are enforced") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.script("CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id))");
  CHECK(kind_of([&] { db.run("INSERT INTO c VALUES(1)"); }) == failure::constraint);
}

TEST_CASE("a statement that runs past the deadline is interrupted, and one that starts after it too") {
  scratch dir;
  database db(dir / "a.sqlite");
  constexpr std::string_view endless =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n";
  db.deadline(std::chrono::steady_clock::now() + 20ms);
  CHECK(kind_of([&] { db.one<int>(endless); }) == failure::interrupted);
  CHECK(kind_of([&] { db.one<int>("SELECT 1"); }) == failure::interrupted);
  db.no_deadline();
  CHECK(db.one<int>("SELECT 1") == 1);
}

TEST_CASE(
    "a writing statement that is interrupted takes its whole transaction with it, and in_transaction says "
    "so") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.migrate(first_steps, "test");
  db.begin();
  db.run("INSERT INTO t(body) VALUES('before')");
  db.deadline(std::chrono::steady_clock::now() + 20ms);
  CHECK(kind_of([&] {
          db.run(
              "INSERT INTO t(body) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT "
              "i||'' FROM n");
        }) == failure::interrupted);
  CHECK_FALSE(db.in_transaction());
  db.no_deadline();
  CHECK(db.one<int>("SELECT count(*) FROM t") == 0);
}

TEST_CASE(
    "what was committed is there when the file is opened again, and the log is gone after a clean close") {
  scratch dir;
  auto file = dir / "a.sqlite";
  {
    database db(file);
    db.migrate(first_steps, "test");
    db.run("INSERT INTO t(body) VALUES('x')");
    CHECK(std::filesystem::exists(dir / "a.sqlite-wal"));
  }
  CHECK_FALSE(std::filesystem::exists(dir / "a.sqlite-wal"));
  open_options existing;
  existing.create = false;
  database db(file, existing);
  CHECK(db.one<std::string>("SELECT body FROM t") == "x");
}

TEST_CASE("opening what is not there without leave to create it is missing, and creates nothing") {
  scratch dir;
  open_options existing;
  existing.create = false;
  CHECK(kind_of([&] { database db(dir / "a.sqlite", existing); }) == failure::missing);
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE(
    "a folder that is not there, and one where the file should be, are cannot_open with the system's "
    "reason") {
  scratch dir;
  CHECK(kind_of([&] { database db(dir / "no" / "a.sqlite"); }) == failure::cannot_open);
  std::filesystem::create_directory(dir / "d");
  CHECK(kind_of([&] { database db(dir / "d"); }) == failure::cannot_open);
  try {
    database db(dir / "no" / "a.sqlite");
  } catch (const error& e) {
    CHECK(std::string(e.what()).find("No such file or directory") != std::string::npos);
    CHECK(e.file() == dir / "no" / "a.sqlite");
  }
}

TEST_CASE("a file under the open connection that is moved or deleted is noticed") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.migrate(first_steps, "test");
  CHECK_FALSE(db.moved());
  std::filesystem::rename(dir / "a.sqlite", dir / "b.sqlite");
  CHECK(db.moved());
}

TEST_CASE("a second writer waits for the lock for a bounded time and is then told that the file is busy") {
  scratch dir;
  database one(dir / "a.sqlite");
  database two(dir / "a.sqlite");
  one.begin();
  CHECK(kind_of([&] { two.begin(); }) == failure::busy);
  one.rollback();
  two.begin();
  two.rollback();
}

TEST_CASE("data_version changes when another connection has written, not by one's own writes") {
  scratch dir;
  database one(dir / "a.sqlite");
  database two(dir / "a.sqlite");
  one.migrate(first_steps, "test");
  auto before = one.data_version();
  one.run("INSERT INTO t(body) VALUES('own')");
  CHECK(one.data_version() == before);
  two.run("INSERT INTO t(body) VALUES('other')");
  CHECK(one.data_version() != before);
}

TEST_CASE("a checkpoint empties the log, and while somebody reads an old state it says that it could not") {
  scratch dir;
  database db(dir / "a.sqlite");
  database other(dir / "a.sqlite");
  db.migrate(first_steps, "test");
  db.run("INSERT INTO t(body) VALUES('x')");
  CHECK(std::filesystem::file_size(dir / "a.sqlite-wal") > 0);
  CHECK(db.checkpoint());
  CHECK(std::filesystem::file_size(dir / "a.sqlite-wal") == 0);
  db.run("INSERT INTO t(body) VALUES('y')");
  other.each("SELECT * FROM t", [&](const row&) {
    db.run("INSERT INTO t(body) VALUES('z')");
    CHECK_FALSE(db.checkpoint());
    return false;
  });
}

TEST_CASE("shrink keeps everything working") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.migrate(first_steps, "test");
  for (int i = 0; i < 3; ++i) {
    db.run("INSERT INTO t(body) VALUES(?)", "x");
    db.shrink();
  }
  CHECK(db.one<int>("SELECT count(*) FROM t") == 3);
}

TEST_CASE("an open connection cannot be talked into attaching files or damaging its own schema") {
  scratch dir;
  database db(dir / "a.sqlite");
  CHECK_THROWS_AS(db.run("ATTACH ? AS other", (dir / "b.sqlite").string()), error);
  CHECK_THROWS_AS(db.script("PRAGMA writable_schema=1; DELETE FROM sqlite_schema; "
                            "INSERT INTO sqlite_schema VALUES('table','x','x',0,'')"),
                  error);
  CHECK_FALSE(std::filesystem::exists(dir / "b.sqlite"));
}
