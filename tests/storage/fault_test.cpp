// What a failing disk and a power cut may do to one file, compared with a model.
#include "storage/database.h"
#include "storage/testing/fault_vfs.h"
#include "tests/storage/expect.h"
#include "tests/storage/scratch.h"

using namespace troupe::storage;
using namespace troupe::storage::testing;

namespace {

constexpr migration fault_steps[] = {
    {1,
     "CREATE TABLE last(id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL);"
     "INSERT INTO last VALUES(1, 0);"
     "CREATE TABLE entry(n INTEGER PRIMARY KEY, body BLOB NOT NULL)"}};

constexpr int turns = 12;
constexpr int kept = 7;  // older entries are deleted

struct outcome {
  int tried = 0;         // the last turn that was begun
  int acknowledged = 0;  // the last turn whose commit returned
};

// Turns that grow, delete and rewrite, with a checkpoint and a second opening on the way.
outcome work(const std::filesystem::path& file, const open_options& options) {
  outcome done;
  try {
    for (int opening = 0; opening < 2; ++opening) {
      database db(file, options);
      db.migrate(fault_steps, "test");
      for (int i = 0; i < turns / 2; ++i) {
        int n = done.tried = done.acknowledged + 1;
        transaction turn(db);
        db.run("INSERT INTO entry VALUES(?, ?)", n, blob(static_cast<std::size_t>(n) * 700, std::byte(n)));
        db.savepoint();
        db.run("UPDATE last SET n = n + 1");
        db.release();
        db.run("DELETE FROM entry WHERE n <= ?", n - kept);
        turn.commit();
        done.acknowledged = n;
        if (i == 2) db.checkpoint();
      }
    }
  } catch (const error&) {
  }
  return done;
}

// The file holds exactly one of the states that the model allows.
void verify(const std::filesystem::path& file, const open_options& options, int at_least, int at_most) {
  database db(file, options);
  CHECK(db.check(check_depth::full).empty());
  db.migrate(fault_steps, "test");
  int n = *db.one<int>("SELECT n FROM last");
  CHECK(n >= at_least);
  CHECK(n <= at_most);
  CHECK(db.one<int>("SELECT count(*) FROM entry") == std::min(n, kept));
  CHECK(db.one<int>("SELECT max(n) FROM entry").value_or(0) == n);
  db.each("SELECT n, body FROM entry", [](const row& r) {
    auto i = r.get<std::size_t>(0);
    CHECK(r.get<blob>(1) == blob(i * 700, std::byte(i)));
  });
  db.run("UPDATE last SET n = n + 1");  // and it can be written again
}

struct faulty {
  scratch dir;
  fault_vfs disk;
  std::filesystem::path file = dir / "a.sqlite";
  open_options options;
  faulty() { options.vfs = disk.name(); }
};

std::uint64_t steps_of_a_whole_run() {
  faulty f;
  auto done = work(f.file, f.options);
  REQUIRE(done.acknowledged == turns);
  return f.disk.steps();
}

}  // namespace

TEST_CASE("after a power cut at any step, what was committed in full is there and nothing is half there") {
  auto all = steps_of_a_whole_run();
  REQUIRE(all > 50);
  for (std::uint64_t step = 1; step <= all; ++step) {
    for (std::uint64_t seed : {fault_vfs::without_unsynced, step, step + 1000, step + 2000}) {
      CAPTURE(step);
      CAPTURE(seed);
      faulty f;
      f.disk.cut_power_at(step);
      auto done = work(f.file, f.options);
      CHECK_FALSE(f.disk.powered());
      f.disk.restart(seed);
      verify(f.file, f.options, done.acknowledged, done.tried);
    }
  }
}

TEST_CASE("after a power cut in normal, the file is whole and holds some state of the past") {
  auto all = steps_of_a_whole_run();
  for (std::uint64_t step = 1; step <= all; ++step) {
    CAPTURE(step);
    faulty f;
    f.options.sync = durability::normal;
    f.disk.cut_power_at(step);
    auto done = work(f.file, f.options);
    f.disk.restart(step);
    verify(f.file, f.options, 0, done.tried);
  }
}

TEST_CASE("the test of power cuts would notice a commit that is not synced") {
  int lost = 0;
  for (std::uint64_t step = 20; step < 60; ++step) {
    faulty f;
    f.options.sync = durability::normal;
    f.disk.cut_power_at(step);
    auto done = work(f.file, f.options);
    f.disk.restart(fault_vfs::without_unsynced);
    database db(f.file, f.options);
    db.migrate(fault_steps, "test");
    lost += *db.one<int>("SELECT n FROM last") < done.acknowledged;
  }
  CHECK(lost > 0);
}

TEST_CASE(
    "whichever single operation fails, the file stays whole, holds what was acknowledged and can go on") {
  for (auto [on, what] : {std::pair(operation::write, fault::io),
                          {operation::write, fault::full},
                          {operation::write, fault::torn},
                          {operation::sync, fault::io},
                          {operation::sync, fault::full},
                          {operation::truncate, fault::io},
                          {operation::read, fault::io},
                          {operation::open, fault::io},
                          {operation::remove, fault::io},
                          {operation::share, fault::full}}) {
    CAPTURE(static_cast<int>(on));
    CAPTURE(static_cast<int>(what));
    for (std::uint64_t nth = 1;; ++nth) {
      CAPTURE(nth);
      faulty f;
      f.disk.inject({.on = on, .what = what, .nth = nth});
      auto done = work(f.file, f.options);
      if (f.disk.failures() == 0) break;  // the run was over before
      f.disk.clear();
      verify(f.file, f.options, done.acknowledged, done.tried);
    }
  }
}

TEST_CASE_FIXTURE(
    faulty, "a full disk in the middle of a transaction is told with the file, and space again is enough") {
  database db(file, options);
  db.migrate(fault_steps, "test");
  disk.inject({.on = operation::write, .what = fault::full, .times = plan::forever});
  db.begin();
  try {
    // More than the cache holds, so that pages go to the disk before the commit.
    for (int n = 1; n <= 200; ++n) db.run("INSERT INTO entry VALUES(?, ?)", n, blob(2000));
    db.commit();
    FAIL("it fitted on a full disk");
  } catch (const error& e) {
    CHECK(e.kind() == failure::full);
    CHECK(e.file() == file);
    CHECK(std::string(e.what()).find(file.string()) != std::string::npos);
    CHECK(std::string(e.what()).find("free some space") != std::string::npos);
  }
  db.rollback();
  CHECK_FALSE(db.in_transaction());
  disk.clear();
  CHECK(db.one<int>("SELECT count(*) FROM entry") == 0);
  db.run("INSERT INTO entry VALUES(1, ?)", blob(10));
  CHECK(db.one<int>("SELECT count(*) FROM entry") == 1);
}

TEST_CASE_FIXTURE(faulty, "a commit whose sync fails is not there once the file is closed and opened again") {
  {
    database db(file, options);
    db.migrate(fault_steps, "test");
    disk.inject({.on = operation::sync, .what = fault::io});
    db.begin();
    db.run("INSERT INTO entry VALUES(1, ?)", blob(10));
    CHECK(kind_of([&] { db.commit(); }) == failure::io);
    db.rollback();
  }
  verify(file, options, 0, 0);
}

TEST_CASE_FIXTURE(
    faulty,
    "whatever is seen after reopening survives a power cut, what a failed commit left in the log too") {
  {
    database db(file, options);
    db.migrate(fault_steps, "test");
    // The commit's sync and the one of closing: the log stays, its last transaction only in the system's
    // memory.
    disk.inject({.on = operation::sync, .what = fault::io, .times = plan::forever});
    CHECK(kind_of([&] { db.run("UPDATE last SET n = 1"); }) == failure::io);
  }
  disk.clear();
  int seen = 0;
  {
    database db(file, options);
    seen = *db.one<int>("SELECT n FROM last");
    disk.cut_power_at(1);
  }
  REQUIRE_FALSE(disk.powered());
  disk.restart(fault_vfs::without_unsynced);
  database db(file, options);
  int kept_of_it = *db.one<int>("SELECT n FROM last");
  CHECK(seen == 1);  // the case that this is about
  CHECK(kept_of_it == seen);
}

TEST_CASE_FIXTURE(faulty, "a file that cannot be opened says so and can be opened later") {
  disk.inject({.on = operation::open});
  CHECK(kind_of([&] { database db(file, options); }) == failure::cannot_open);
  CHECK(disk.failures() == 1);
  verify(file, options, 0, 0);
}

TEST_CASE_FIXTURE(faulty, "a fault for one file leaves another alone") {
  disk.inject({.on = operation::write, .times = plan::forever, .path_part = "b.sqlite"});
  CHECK(kind_of([&] { database db(dir / "b.sqlite", options); }) == failure::io);
  CHECK(work(file, options).acknowledged == turns);
}

TEST_CASE_FIXTURE(faulty, "a backup to a disk that fails leaves no target and the source as it was") {
  database db(file);
  db.migrate(fault_steps, "test");
  // The target goes over the real disk: a folder that takes no files stands for a failing one.
  CHECK(kind_of([&] { db.backup_to(dir / "nowhere" / "copy.sqlite"); }) == failure::cannot_open);
  CHECK(db.check().empty());
}
