// `troupe sandbox prune`, and a server that starts: what no row knows of sandboxes goes.
#include <chrono>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

#include "tests/cli/program.h"

using namespace troupe::cli::testing;
using nlohmann::json;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

// Where a crash left a sandbox without its row.
fs::path leave_a_folder(const fs::path& data) {
  const auto folder = data / "org" / "acme" / "sandbox" / "left";
  fs::create_directories(folder / "work");
  std::ofstream(folder / "work" / "file") << "text";
  return folder;
}

// Things of other data folders may be found too.
std::size_t found_in(const json& said, const char* list, const fs::path& folder) {
  std::size_t n = 0;
  for (const auto& one : said.at(list)) n += one.at("where").get<std::string>().starts_with(folder.string());
  return n;
}

bool gone_in_time(const fs::path& folder) {
  for (const auto end = std::chrono::steady_clock::now() + 20s; std::chrono::steady_clock::now() < end;) {
    if (!fs::exists(folder)) return true;
    std::this_thread::sleep_for(20ms);  // the server says nothing when there is nothing left
  }
  return false;
}

}  // namespace

TEST_CASE(
    "what is left of sandboxes is told, removed by command while a server runs or rests, and at its start") {
  scratch home;
  const auto data = home / "data";
  const auto prune = [&](std::vector<std::string> more = {}) {
    std::vector<std::string> words{"sandbox", "prune", "--json", "--data", data.string()};
    words.insert(words.end(), more.begin(), more.end());
    return parsed(run_troupe(home, words));
  };
  CHECK(serving(home).stop() == 0);
  const auto left = leave_a_folder(data);
  CHECK(found_in(prune({"--dry-run"}), "found", left) == 1);
  CHECK(fs::exists(left / "work" / "file"));
  const auto words = run_troupe(home, {"sandbox", "prune", "--data", data.string()});
  CHECK(words.exit_code == 0);
  CHECK(has(words.out, "removed  folder  " + left.string() + "  of org/acme/sandbox/left\n"));
  CHECK_FALSE(fs::exists(left));
  CHECK(found_in(prune(), "removed", left) == 0);

  leave_a_folder(data);
  serving server(home);
  CHECK(gone_in_time(left));
  leave_a_folder(data);
  CHECK(found_in(prune(), "removed", left) == 1);
  CHECK_FALSE(fs::exists(left));
}
