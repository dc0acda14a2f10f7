// `troupe secret rotate` on a data folder that is served, and on one at rest.
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>

#include "tests/cli/program.h"

using namespace troupe::cli::testing;

TEST_CASE("secrets get a new key while no server has the folder, and the next server knows them all") {
  scratch home;
  const auto data = (home / "data").string();
  const auto key = [&] {
    std::ifstream in(home / "data" / "secrets.key");
    return std::string{std::istreambuf_iterator<char>(in), {}};
  };
  const auto rotate = [&] { return run_troupe(home, {"secret", "rotate", "--data", data, "--json"}); };
  serving first(home);
  CHECK(run_troupe(home, {"org", "create", "acme"}).exit_code == 0);
  CHECK(run_troupe(home, {"secret", "set", "github"}, "a token").exit_code == 0);
  const auto before = key();
  const auto refused = rotate();
  CHECK(refused.exit_code == 1);
  CHECK(has(refused.err, "in use"));
  CHECK(key() == before);
  CHECK(first.stop() == 0);
  CHECK(parsed(rotate()).at("sealed") == 1);
  CHECK(key() != before);
  CHECK(key().size() == before.size());
  serving second(home);
  CHECK(parsed(run_troupe(home, {"secret", "list", "--json"})).at("secrets")[0].at("name") == "github");
}
