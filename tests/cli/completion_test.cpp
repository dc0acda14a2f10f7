// What shells are told may follow.
#include <fstream>

#include <doctest/doctest.h>

#include "tests/cli/program.h"

using namespace troupe::cli::testing;

namespace {

std::string follows(const scratch& home, std::vector<std::string> words) {
  words.insert(words.begin(), {"completion", "words", "--"});
  const auto r = run_troupe(home, words);
  CHECK(r.exit_code == 0);
  CHECK(r.err.empty());
  return r.out;
}

}  // namespace

TEST_CASE("commands, subcommands, options and choices are completed, each with what it is for") {
  scratch home;
  CHECK(has(follows(home, {"ta"}), "task\tthings to be done"));
  CHECK(follows(home, {"task", "arch"}) == "archive\trelease the sandbox, keep the branch and the work\n");
  CHECK(has(follows(home, {"task", "new", "--pro"}), "--provider\t"));
  CHECK(has(follows(home, {"task", "new", "--js"}), "--json\t"));
  CHECK(follows(home, {"repo", "add", "x", "--network", "pu"}) == "public\t\n");
  CHECK(has(follows(home, {"session", "answer", "t1", ""}), "always\t\n"));
  CHECK(follows(home, {"task", "show", ""}).empty());
  CHECK_FALSE(has(follows(home, {"completion", ""}), "words"));
}

TEST_CASE("repositories and members are completed as the server knows them") {
  scratch home;
  make_repository(home);
  serving server(home, "data", {"--repo-root", home.path().string()});
  parsed(run_troupe(home, {"org", "create", "acme", "--json"}));
  parsed(run_troupe(home, {"repo", "add", "widgets", "--org", "acme", "--json"}));
  CHECK(has(follows(home, {"--org", "acme", "repo", "show", ""}), "widgets\t"));
  CHECK(has(follows(home, {"--org", "acme", "task", "new", "x", "--repo", "wid"}), "widgets\t"));
  CHECK(has(follows(home, {"--org", "acme", "org", "set-role", ""}), "owner\towner"));
}

TEST_CASE("bash completes with what the program says") {
  scratch home;
  std::ofstream(home / "try") << "source <(" TROUPE_PROGRAM
                                 " completion bash)\n"
                                 "COMP_WORDS=(" TROUPE_PROGRAM
                                 " session cl) COMP_CWORD=2\n"
                                 "_troupe\n"
                                 "echo \"${COMPREPLY[@]}\"\n";
  const auto r = run(home, {"bash", "try"});
  CHECK(r.err.empty());
  CHECK(r.out == "close\n");
}
