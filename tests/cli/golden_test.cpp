// Data folders of released versions, as script/golden recorded them: this program serves them.
#include <map>
#include <set>

#include <doctest/doctest.h>

#include "storage/reader.h"
#include "tests/cli/program.h"

using namespace troupe::cli::testing;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::vector<fs::path> golden_folders() {
  std::vector<fs::path> all;
  for (const auto& e : fs::directory_iterator(TROUPE_GOLDEN_FOLDERS)) all.push_back(e.path());
  return all;
}

void unpack(const scratch& home, const fs::path& packed) {
  fs::create_directories(home / "data");
  REQUIRE(run(home, {"tar", "-xzf", packed.string(), "-C", (home / "data").string()}).exit_code == 0);
}

json tables_of(const fs::path& file) {
  troupe::storage::reader db(file);
  json all = json::object();
  for (const auto& row : db.run("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").rows)
    all[std::get<std::string>(row[0])] = std::get<std::string>(row[1]);
  return all;
}

}  // namespace

TEST_CASE("the data folder of every released version is whole, and served with everything that was in it") {
  REQUIRE(!golden_folders().empty());
  for (const auto& packed : golden_folders()) {
    INFO(packed.filename().string());
    scratch home;
    unpack(home, packed);
    CHECK(run_troupe(home, {"verify", "--data", (home / "data").string()}).exit_code == 0);
    serving server(home);
    const auto tasks = run_troupe(home, {"task", "list"}).out;
    CHECK(has(tasks, "Turn the other way"));
    CHECK(has(tasks, "Ask first"));
    const auto said = run_troupe(home, {"session", "transcript", "Turn the other way"}).out;
    CHECK(has(said, "I begin"));
    CHECK(has(said, "NOTES.md"));
    CHECK(has(said, "Done"));
    CHECK(has(run_troupe(home, {"session", "transcript", "Ask first"}).out, "May I?"));
    CHECK(run_troupe(home, {"audit", "verify"}).exit_code == 0);
    CHECK(server.stop() == 0);
    CHECK(run_troupe(home, {"verify", "--data", (home / "data").string()}).exit_code == 0);
  }
}

TEST_CASE("a file of every released version has the tables of a new one once it was woken") {
  for (const auto& packed : golden_folders()) {
    INFO(packed.filename().string());
    scratch home;
    unpack(home, packed);
    make_repository(home);
    serving server(home, "data", {"--repo-root", home.path().string()});
    REQUIRE(run_troupe(home, {"repo", "add", (home / "widgets").string(), "--name", "fresh"}).exit_code == 0);
    REQUIRE(run_troupe(home, {"task", "new", "say Hello", "--repo", "fresh", "--watch"}).exit_code == 0);
    std::map<std::string, std::set<json>> tables_of_kind;
    std::size_t actors = 0;
    for (const auto& e : fs::recursive_directory_iterator(home / "data")) {
      if (e.path().filename() != "actor.sqlite" || has(e.path().string(), "before-upgrade")) continue;
      const auto key = fs::relative(e.path().parent_path(), home / "data");
      // Looking wakes it.
      REQUIRE(run_troupe(home, {"inspect", "query", key.string(), "SELECT turn FROM rt_meta"}).exit_code ==
              0);
      const bool singleton = std::distance(key.begin(), key.end()) % 2 == 1;
      tables_of_kind[(singleton ? key : key.parent_path()).filename().string()].insert(tables_of(e.path()));
      ++actors;
    }
    CHECK(actors > 10);
    for (const auto& [kind, different] : tables_of_kind) {
      INFO(kind);
      CHECK(different.size() == 1);
    }
    CHECK(server.stop() == 0);
  }
}
