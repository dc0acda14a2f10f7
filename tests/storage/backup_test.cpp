#include <fstream>

#include "storage/database.h"
#include "storage/reader.h"
#include "tests/storage/expect.h"
#include "tests/storage/scratch.h"

using namespace troupe::storage;

namespace {

constexpr int rows = 3000;

struct filled {
  scratch dir;
  std::filesystem::path file = dir / "a.sqlite";
  database db{file};
  filled() {
    db.script("CREATE TABLE t(id INTEGER PRIMARY KEY, body TEXT)");
    transaction t(db);
    for (int i = 0; i < rows; ++i) db.run("INSERT INTO t(body) VALUES(?)", std::string(1000, 'x'));
    t.commit();
  }
};

}  // namespace

TEST_CASE_FIXTURE(filled, "a backup is a whole database with everything committed, in the log or not") {
  int calls = 0;
  db.backup_to(dir / "copy.sqlite", [&](int remaining, int total) {
    ++calls;
    CHECK(remaining <= total);
    return true;
  });
  CHECK(calls > 1);
  database copy(dir / "copy.sqlite");
  CHECK(copy.one<int>("SELECT count(*) FROM t") == rows);
  CHECK(copy.check(check_depth::full).empty());
}

TEST_CASE_FIXTURE(filled, "a backup never replaces a file") {
  std::ofstream(dir / "copy.sqlite") << "precious";
  CHECK(kind_of([&] { db.backup_to(dir / "copy.sqlite"); }) == failure::cannot_open);
  CHECK(std::filesystem::file_size(dir / "copy.sqlite") == 8);
}

TEST_CASE_FIXTURE(filled, "a backup that is stopped leaves nothing behind") {
  CHECK(kind_of([&] { db.backup_to(dir / "copy.sqlite", [](int, int) { return false; }); }) ==
        failure::interrupted);
  for (auto& entry : std::filesystem::directory_iterator(dir.path()))
    CHECK(entry.path().filename().string().rfind("copy", 0) != 0);
}

TEST_CASE_FIXTURE(filled, "a backup in the middle of a transaction is refused") {
  transaction t(db);
  db.run("DELETE FROM t");
  CHECK(kind_of([&] { db.backup_to(dir / "copy.sqlite"); }) == failure::misuse);
}

TEST_CASE_FIXTURE(filled,
                  "a damaged page is found by the check, and reading it is corrupt with the file's name") {
  CHECK(db.check(check_depth::quick).empty());
  CHECK(db.check(check_depth::full).empty());
  db.close();
  {
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(default_page_size);
    f << std::string(default_page_size, '\x77');
  }
  database damaged(file);
  CHECK_FALSE(damaged.check().empty());
  try {
    damaged.one<int>("SELECT sum(length(body)) FROM t");
    FAIL("a damaged page was read as if it were whole");
  } catch (const error& e) {
    CHECK(e.kind() == failure::corrupt);
    CHECK(e.file() == file);
    CHECK(std::string(e.what()).find(file.string()) != std::string::npos);
    CHECK(std::string(e.what()).find("restore") != std::string::npos);
  }
}

TEST_CASE_FIXTURE(filled, "a reference to a row that is not there is found by the check") {
  db.script("CREATE TABLE c(t REFERENCES t(id)); PRAGMA foreign_keys=OFF; INSERT INTO c VALUES(-1)");
  CHECK(db.check().size() == 1);
}

TEST_CASE_FIXTURE(filled, "a reader copies a file beside its writer, as one file without a log") {
  db.run("INSERT INTO t(body) VALUES('last')");
  reader(file).copy_to(dir / "copy.sqlite");
  db.run("INSERT INTO t(body) VALUES('after')");
  CHECK(!std::filesystem::exists(dir / "copy.sqlite-wal"));
  reader copy(dir / "copy.sqlite");
  CHECK(std::get<std::int64_t>(copy.run("SELECT count(*) FROM t").rows[0][0]) == rows + 1);
  CHECK(!std::filesystem::exists(dir / "copy.sqlite-wal"));
  CHECK(kind_of([&] { reader(file).copy_to(dir / "copy.sqlite"); }) == failure::cannot_open);
}
