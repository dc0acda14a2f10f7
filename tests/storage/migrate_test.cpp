#include <array>
#include <fstream>
#include <sstream>

#include "storage/database.h"
#include "tests/storage/expect.h"
#include "tests/storage/scratch.h"

using namespace troupe::storage;

namespace {

constexpr std::array steps{
    migration{1,
              "CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT; CREATE INDEX i ON t(body)"},
    migration{2, "ALTER TABLE t ADD COLUMN size INTEGER"},
    migration{3, "UPDATE t SET size = length(body)"},
};
const std::span<const migration> all_steps = steps;

std::string content(const std::filesystem::path& file) {
  std::ostringstream out;
  out << std::ifstream(file, std::ios::binary).rdbuf();
  return out.str();
}

int objects(database& db) {
  return *db.one<int>("SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'");
}

}  // namespace

TEST_CASE("a file made by an older program gets the steps that it lacks, in order, and keeps its rows") {
  scratch dir;
  {
    database db(dir / "a.sqlite");
    db.migrate(all_steps.first(1), "kind");
    db.run("INSERT INTO t(body) VALUES('four')");
  }
  database db(dir / "a.sqlite");
  db.migrate(all_steps, "kind");
  CHECK(db.one<int>("SELECT size FROM t") == 4);
  CHECK(db.version("kind") == 3);
  CHECK(db.version("other") == 0);
}

TEST_CASE("migrating again writes nothing") {
  scratch dir;
  database db(dir / "a.sqlite");
  db.migrate(all_steps, "kind");
  database other(dir / "a.sqlite");
  auto before = other.data_version();
  db.migrate(all_steps, "kind");
  CHECK(other.data_version() == before);
}

TEST_CASE("components of one file have versions of their own") {
  scratch dir;
  constexpr std::array runtime{migration{1, "CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK (id = 1))"}};
  const std::array both{schema{"runtime", runtime}, schema{"kind", steps}};
  database db(dir / "a.sqlite");
  db.migrate(both);
  CHECK(db.version("runtime") == 1);
  CHECK(db.version("kind") == 3);
}

TEST_CASE("when one step fails, none of that migration stays") {
  scratch dir;
  constexpr std::array bad{migration{1, "CREATE TABLE a(x)"},
                           migration{2, "CREATE TABLE b(x); INSERT INTO nowhere VALUES(1)"}};
  database db(dir / "a.sqlite");
  CHECK(kind_of([&] { db.migrate(bad, "kind"); }) == failure::misuse);
  CHECK(objects(db) == 0);
  CHECK(db.version("kind") == 0);
  CHECK_FALSE(db.in_transaction());
}

TEST_CASE("a gap in the steps and a step that commits are refused") {
  scratch dir;
  database db(dir / "a.sqlite");
  constexpr std::array gap{migration{1, "CREATE TABLE a(x)"}, migration{3, "CREATE TABLE b(x)"}};
  CHECK(kind_of([&] { db.migrate(gap, "kind"); }) == failure::misuse);
  CHECK(objects(db) == 0);
  constexpr std::array commits{migration{1, "CREATE TABLE a(x); COMMIT"}};
  CHECK(kind_of([&] { db.migrate(commits, "other"); }) == failure::misuse);
}

TEST_CASE(
    "a file that a newer program has migrated is refused, no other component is migrated, no byte changes") {
  scratch dir;
  {
    database db(dir / "a.sqlite");
    db.migrate(all_steps, "kind");
  }
  auto before = content(dir / "a.sqlite");
  constexpr std::array runtime{migration{1, "CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK (id = 1))"}};
  const std::array both{schema{"runtime", runtime}, schema{"kind", all_steps.first(2)}};
  {
    database db(dir / "a.sqlite");
    CHECK(kind_of([&] { db.migrate(both); }) == failure::newer_schema);
  }
  CHECK(content(dir / "a.sqlite") == before);
}

TEST_CASE("a file of a newer format is refused at opening and left byte for byte, its log too") {
  scratch dir;
  auto file = dir / "a.sqlite";
  {
    database db(file);
    db.migrate(all_steps, "kind");
    db.script("PRAGMA user_version=2");
    db.run("INSERT INTO t(body) VALUES('in the log')");
    // As a killed process leaves it: the log is not yet moved into the file.
    for (const char* suffix : {"", "-wal"})
      std::filesystem::copy_file(std::filesystem::path(file) += suffix, (dir / "killed") += suffix);
  }
  for (auto name : {"a.sqlite", "killed"}) {
    auto path = dir / name;
    auto log = std::filesystem::path(path) += "-wal";
    auto before = content(path), log_before = content(log);
    CHECK(kind_of([&] { database db(path); }) == failure::newer_schema);
    CHECK(content(path) == before);
    CHECK(content(log) == log_before);
  }
}

TEST_CASE("a file that is no database, and one of another program, are refused and left as they are") {
  scratch dir;
  std::ofstream(dir / "text") << std::string(5000, 'x');
  auto before = content(dir / "text");
  CHECK(kind_of([&] { database db(dir / "text"); }) == failure::corrupt);
  CHECK(content(dir / "text") == before);
  {
    database db(dir / "other");
    db.script("CREATE TABLE t(x); PRAGMA application_id=7");
  }
  before = content(dir / "other");
  CHECK(kind_of([&] { database db(dir / "other"); }) == failure::corrupt);
  CHECK(content(dir / "other") == before);
}

TEST_CASE("an emptied file beside a log that holds commits is corrupt, and the log is kept") {
  scratch dir;
  auto file = dir / "a.sqlite";
  {
    database db(file);
    db.migrate(all_steps, "kind");
    std::filesystem::copy_file(dir / "a.sqlite-wal", dir / "b.sqlite-wal");
  }
  std::ofstream(dir / "b.sqlite").close();
  auto before = content(dir / "b.sqlite-wal");
  CHECK(kind_of([&] { database db(dir / "b.sqlite"); }) == failure::corrupt);
  CHECK(content(dir / "b.sqlite-wal") == before);
}
