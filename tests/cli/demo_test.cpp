// The demo is the product: from nothing to a diff, in a real sandbox, with a real agent.
#include <cstdio>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/cli/program.h"

using namespace troupe::cli::testing;
using nlohmann::json;

namespace {

std::vector<json> events(const ran& r) {
  std::vector<json> all;
  std::istringstream lines(r.out);
  for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
  return all;
}

bool cannot_isolate(const ran& r) {
  const bool cannot = has(r.err, "no sandbox can be made");
  if (cannot) std::puts("[skipped] this machine isolates nothing");
  return cannot;
}

}  // namespace

TEST_CASE("the demo goes from nothing to a diff of what the agent did") {
  scratch home;
  make_repository(home);
  const auto r = run_troupe(home, {"demo", "--json", "--yes", "--repo", (home / "widgets").string(),
                                   "--prompt", "write NOTES.md it was here\nrun cat NOTES.md"});
  INFO(r.err);
  INFO(r.out);
  if (cannot_isolate(r)) return;
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

TEST_CASE("a running server that takes no such path is passed over, with a line that says so") {
  scratch home;
  make_repository(home);
  serving server(home);
  const auto r = run_troupe(
      home, {"demo", "--json", "--yes", "--repo", (home / "widgets").string(), "--prompt", "say hello"});
  INFO(r.err);
  if (cannot_isolate(r)) return;
  CHECK(r.exit_code == 0);
  const auto all = events(r);
  REQUIRE(all.size() > 2);
  CHECK(all[0].at("event") == "server_passed_over");
  CHECK(all[0].at("url") == server.url());
  CHECK(all[1].at("own") == true);
  CHECK(parsed(run_troupe(home, {"org", "list", "--json"})).empty());
}

TEST_CASE("a running server that takes the path is used") {
  scratch home;
  make_repository(home);
  serving server(home, "data", {"--repo-root", home.path().string()});
  const auto r = run_troupe(
      home, {"demo", "--json", "--yes", "--repo", (home / "widgets").string(), "--prompt", "say hello"});
  INFO(r.err);
  if (cannot_isolate(r)) return;
  CHECK(r.exit_code == 0);
  const auto all = events(r);
  REQUIRE(!all.empty());
  CHECK(all[0].at("url") == server.url());
  CHECK(all[0].at("own") == false);
}

TEST_CASE("where nothing isolates the demo works only when it is told that it may, and as itself") {
#ifdef __SANITIZE_ADDRESS__
  std::puts(
      "[skipped] without isolation memory is limited as address space, of which AddressSanitizer needs "
      "terabytes");
  return;
#endif
  scratch home;
  make_repository(home);
  // A mount of one's own hides bubblewrap, whoever one is.
  const auto without = [&](std::vector<std::string> words) {
    std::string line = "mount --bind /dev/null /usr/bin/bwrap && exec \"$@\"";
    words.insert(words.begin(), {"unshare", "-m", "sh", "-c", line, "sh"});
    return run(home, words);
  };
  if (without({"true"}).exit_code != 0) {
    std::puts("[skipped] mounting needs root");
    return;
  }
  std::vector<std::string> words{TROUPE_PROGRAM, "demo",
                                 "--json",       "--yes",
                                 "--repo",       (home / "widgets").string(),
                                 "--prompt",     "write NOTES.md it was here\nrun cat NOTES.md"};
  const auto refused = without(words);
  CHECK(refused.exit_code == 1);
  CHECK(has(refused.err, "this machine isolates nothing"));
  CHECK(has(refused.err, "--unsafe-no-isolation"));
  words.push_back("--unsafe-no-isolation");
  const auto r = without(words);
  INFO(r.err);
  CHECK(r.exit_code == 0);
  const auto all = events(r);
  const auto diff = std::ranges::find_if(all, [](const json& e) { return e.value("event", "") == "diff"; });
  REQUIRE(diff != all.end());
  CHECK(diff->at("diff").at("files").at(0).at("path") == "NOTES.md");
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

TEST_CASE("a demo that fails leaves nothing behind either") {
  scratch home;
  make_repository(home);
  REQUIRE(run(home, {"sh", "-c", "mkdir own-tmp"}).exit_code == 0);
  const auto r = run(home, {"env", "TMPDIR=" + (home / "own-tmp").string(), TROUPE_PROGRAM, "demo", "--json",
                            "--yes", "--repo", (home / "widgets").string(), "--agent", "nobody"});
  CHECK(r.exit_code == 1);
  CHECK(run(home, {"ls", "own-tmp"}).out.empty());
  CHECK(run(home, {"pgrep", "-f", (home / "own-tmp").string()}).exit_code == 1);
}

TEST_CASE("a folder that is no repository is told as such") {
  scratch home;
  const auto r = run_troupe(home, {"demo", "--yes"});
  CHECK(r.exit_code == 1);
  CHECK(r.err.find("--repo") != std::string::npos);
}
