#include "cli/tools.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <set>

#include <doctest/doctest.h>

#include "cli/failure.h"

using namespace troupe;
namespace fs = std::filesystem;

namespace {

/// A folder of tools, and an npm that makes what it is told to: its script gets the folder as $dir and the
/// last package as $package.
class workshop {
 public:
  explicit workshop(const std::string& does) : path_(::getenv("PATH")) {
    auto name = (fs::temp_directory_path() / "troupe-tools-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    box_ = name;
    npm(does);
    ::setenv("PATH", (box_.string() + ":" + path_).c_str(), 1);
  }
  ~workshop() {
    ::setenv("PATH", path_.c_str(), 1);
    fs::remove_all(box_);
  }
  void npm(const std::string& does) {
    std::ofstream(box_ / "npm") << "#!/bin/sh\n"
                                   "while [ $# -gt 0 ]; do\n"
                                   "  if [ \"$1\" = --prefix ]; then dir=$2; shift; fi\n"
                                   "  package=$1; shift\n"
                                   "done\n"
                                << does << "\n";
    ::chmod((box_ / "npm").c_str(), 0755);
  }
  fs::path tools() const { return box_ / "tools"; }
  std::string content(const std::string& at) const {
    std::ifstream in(tools() / at);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::set<std::string> names(const std::string& folder) const {
    std::set<std::string> out;
    for (const auto& one : fs::directory_iterator(tools() / folder)) out.insert(one.path().filename());
    return out;
  }

 private:
  fs::path box_;
  std::string path_;
};

cli::to_install version(const std::string& number) {
  return {"wise", number, {{"wise-acp", number}}, {"node_modules/wise-acp/run"}};
}

constexpr const char* good =
    "mkdir -p $dir/node_modules/wise-acp\n"
    "echo $package >$dir/node_modules/wise-acp/run\n"
    "chmod +x $dir/node_modules/wise-acp/run\n";

}  // namespace

TEST_CASE(
    "the newest installation is the current one, and the one before it stays for agents that run from it") {
  workshop w(good);
  CHECK_FALSE(cli::installed_version(w.tools(), "wise"));
  for (const auto* number : {"1.0.0", "1.1.0", "1.2.0"}) cli::install(w.tools(), version(number));
  CHECK(cli::installed_version(w.tools(), "wise") == "1.2.0");
  CHECK(w.content("wise/current/node_modules/wise-acp/run") == "wise-acp@1.2.0\n");
  CHECK(w.names("wise") == std::set<std::string>{"1.1.0", "1.2.0", "current"});
}

TEST_CASE("an installation that npm cannot finish leaves the one before it") {
  workshop w(good);
  cli::install(w.tools(), version("1.0.0"));
  w.npm("mkdir -p $dir/node_modules/half\nexit 3");
  CHECK_THROWS_WITH_AS(cli::install(w.tools(), version("1.1.0")), doctest::Contains("exit code 3"),
                       cli::failure);
  w.npm("exit 0");
  CHECK_THROWS_WITH_AS(cli::install(w.tools(), version("1.1.0")), doctest::Contains("none of its programs"),
                       cli::failure);
  CHECK(cli::installed_version(w.tools(), "wise") == "1.0.0");
  CHECK(w.names("wise") == std::set<std::string>{"1.0.0", "current"});
}

TEST_CASE("the same version once more replaces it") {
  workshop w(good);
  cli::install(w.tools(), version("1.0.0"));
  std::ofstream(w.tools() / "wise/1.0.0/broken") << "x";
  cli::install(w.tools(), version("1.0.0"));
  CHECK(cli::installed_version(w.tools(), "wise") == "1.0.0");
  CHECK_FALSE(fs::exists(w.tools() / "wise/current/broken"));
  CHECK(w.names("wise") == std::set<std::string>{"1.0.0", "current"});
}

TEST_CASE(
    "every agent of the registry says how it starts, and comes from npm in a pinned version or not at all") {
  std::set<std::string> ids;
  for (const auto& agent : agents::all()) {
    CAPTURE(agent.id);
    CHECK(ids.insert(agent.id).second);
    CHECK_FALSE(agent.programs.empty());
    CHECK_FALSE(agent.known.empty());
    CHECK(agent.packages.empty() == agent.package_programs.empty());
    for (const auto& package : agent.packages)
      CHECK(package.version.find_first_not_of("0123456789.") == std::string::npos);
  }
  for (const auto* id : {"claude", "codex", "opencode", "amp", "pi", "cursor", "gemini", "scripted"})
    CHECK(agents::find(id) != nullptr);
  CHECK(agents::find("nobody") == nullptr);
}
