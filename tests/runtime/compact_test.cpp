#include "runtime/compact.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "runtime/verify.h"
#include "tests/runtime/world.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

/// A folder at rest with much that is free in its files.
struct emptied {
  emptied() {
    w.open({"a", "b"});
    w.end();
    for (const auto* name : {"bank/b", "bank/b/account/a", "bank/b/account/b"}) {
      storage::database db(data / name / "actor.sqlite");
      db.script("CREATE TABLE scratch (id INTEGER PRIMARY KEY, text TEXT)");
      db.begin();
      for (int n = 0; n < 2000; ++n) db.run("INSERT INTO scratch (text) VALUES (?)", std::string(500, 'x'));
      db.commit();
      db.script("DROP TABLE scratch");
    }
  }
  world w;
  const std::filesystem::path data = w.data.path() / "data";
};

}  // namespace

TEST_CASE("compacting gives back what was free and keeps everything else") {
  emptied e;
  const auto r = compact(e.data);
  CHECK(r.files == 4);
  CHECK(r.smaller >= 3);
  CHECK(r.after * 4 < r.before);
  CHECK(r.left.empty());
  CHECK(verify(e.data, {.depth = storage::check_depth::full}).whole());
  e.w.begin();
  CHECK(e.w.account("a")["amount"] == 100);
}

TEST_CASE("a folder that a server has is not compacted, and a file of a newer program is left as it is") {
  emptied e;
  e.w.begin();
  CHECK_THROWS_AS(compact(e.data), data_folder_in_use);
  e.w.end();
  {
    storage::database db(e.data / "bank/b/account/a/actor.sqlite");
    db.script("PRAGMA user_version = 99");
  }
  const auto r = compact(e.data);
  REQUIRE(r.left.size() == 1);
  CHECK(r.left[0].find("account/a") != std::string::npos);
}

TEST_CASE("whoever is killed while compacting leaves files that are whole") {
  emptied e;
  std::mt19937 dice(3);
  for (int n = 0; n < 25; ++n) {
    const auto child = ::fork();
    if (child == 0) {
      compact(e.data);
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(dice() % 15'000));  // the instant is what varies
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto found = verify(e.data, {.depth = storage::check_depth::full});
    REQUIRE_MESSAGE(found.whole(), found.findings[0].actor, ": ", found.findings[0].what);
  }
  CHECK(compact(e.data).left.empty());
  e.w.begin();
  CHECK(e.w.account("b")["amount"] == 100);
}
