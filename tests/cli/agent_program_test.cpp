#include <cstdio>

#include <doctest/doctest.h>

#include "tests/cli/program.h"

using namespace troupe::cli::testing;
using nlohmann::json;

TEST_CASE(
    "the agents are listed with what each needs, and those of npm are not there before they are installed") {
  scratch home;
  const auto listed = run_troupe(home, {"agent", "list", "--json", "--tools", (home / "tools").string()});
  REQUIRE(listed.exit_code == 0);
  const auto agents = json::parse(listed.out).at("agents");
  CHECK(agents.size() == 8);
  for (const auto& one : agents) CHECK(one.at("installed").is_null());
  CHECK(agents[0]["agent"] == "claude");
  CHECK(agents[0]["credentials"][0] == "ANTHROPIC_API_KEY");
}

TEST_CASE("the scripted agent is checked in a sandbox that is gone afterwards") {
  scratch home;
  const auto checked =
      run_troupe(home, {"agent", "check", "scripted", "--json", "--tools", (home / "tools").string()});
  if (checked.err.find("isolates nothing") != std::string::npos) {
    std::puts("[skipped] nothing on this machine can isolate a sandbox");
    return;
  }
  REQUIRE_MESSAGE(checked.exit_code == 0, checked.out, checked.err);
  const auto said = json::parse(checked.out);
  CHECK(said["ok"] == true);
  CHECK(said["start"]["said"]["loaded"] == "new");
  CHECK(said["start"]["said"]["modes"]["currentModeId"] == "default");
}

TEST_CASE("an agent that is not installed, not from npm or not known is told with what to do") {
  scratch home;
  const auto tools = (home / "tools").string();
  const auto absent = run_troupe(home, {"agent", "check", "claude", "--tools", tools});
  CHECK(absent.exit_code == 1);
  CHECK(absent.out.find("troupe agent install claude") != std::string::npos);
  const auto elsewhere = run_troupe(home, {"agent", "install", "cursor", "--tools", tools});
  CHECK(elsewhere.exit_code == 1);
  CHECK(elsewhere.err.find("cursor-agent") != std::string::npos);
  const auto unknown = run_troupe(home, {"agent", "install", "nobody", "--tools", tools});
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.err.find("known are claude, codex") != std::string::npos);
  const auto forward = run_troupe(home, {"serve", "--data", (home / "data").string(), "--forward", "80"});
  CHECK(forward.exit_code == 2);
  CHECK(forward.err.find("PORT=HOST:PORT") != std::string::npos);
}
