// The demo is the product: from nothing to a diff, in a real sandbox, with a real agent.
#include <sstream>

#include <doctest/doctest.h>

#include "tests/cli/program.h"

using namespace troupe::cli::testing;
using nlohmann::json;

namespace {

void make_repository(const scratch& home) {
  const auto git = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"git", "-C", (home / "widgets").string(), "-c", "user.name=T", "-c",
                                 "user.email=t@localhost"});
    const auto r = run(home, words);
    REQUIRE_MESSAGE(r.exit_code == 0, r.err);
  };
  std::filesystem::create_directories(home / "widgets");
  REQUIRE(run(home, {"git", "init", "-q", "-b", "main", (home / "widgets").string()}).exit_code == 0);
  REQUIRE(run(home, {"sh", "-c", "echo hello > widgets/README"}).exit_code == 0);
  git({"add", "README"});
  git({"commit", "-q", "-m", "Begin"});
}

std::vector<json> events(const ran& r) {
  std::vector<json> all;
  std::istringstream lines(r.out);
  for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
  return all;
}

}  // namespace

TEST_CASE("the demo goes from nothing to a diff of what the agent did") {
  scratch home;
  make_repository(home);
  const auto r = run_troupe(home, {"demo", "--json", "--yes", "--repo", (home / "widgets").string(), "--prompt",
                               "write NOTES.md it was here\nrun cat NOTES.md"});
  INFO(r.err);
  INFO(r.out);
  if (r.err.find("no sandbox can be made") != std::string::npos) {
    MESSAGE("[skipped] this machine isolates nothing");
    return;
  }
  REQUIRE(r.exit_code == 0);
  json diff, audit;
  bool ran_it = false;
  for (const auto& event : events(r)) {
    if (event.value("event", "") == "diff") diff = event.at("diff");
    if (event.value("event", "") == "audit") audit = event.at("entries");
    if (event.contains("entry") && event["entry"].dump().find("it was here") != std::string::npos)
      ran_it = true;
  }
  REQUIRE(diff.is_object());
  REQUIRE(diff.at("files").size() == 1);
  CHECK(diff["files"][0].at("path") == "NOTES.md");
  CHECK(ran_it);
  CHECK(audit.size() > 2);
}

TEST_CASE("the demo leaves nothing behind") {
  scratch home;
  make_repository(home);
  REQUIRE(run(home, {"sh", "-c", "mkdir own-tmp"}).exit_code == 0);
  const auto r = run(home, {"env", "TMPDIR=" + (home / "own-tmp").string(), TROUPE_PROGRAM, "demo", "--json",
                            "--yes", "--repo", (home / "widgets").string(), "--prompt", "say hello"});
  INFO(r.err);
  CHECK(run(home, {"ls", "own-tmp"}).out.empty());
  CHECK(run(home, {"pgrep", "-f", (home / "own-tmp").string()}).exit_code == 1);
}

TEST_CASE("a folder that is no repository is told as such") {
  scratch home;
  const auto r = run_troupe(home, {"demo", "--yes"});
  CHECK(r.exit_code == 1);
  CHECK(r.err.find("--repo") != std::string::npos);
}
