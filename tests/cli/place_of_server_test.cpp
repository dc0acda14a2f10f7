#include "cli/place_of_server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <doctest/doctest.h>

using namespace troupe::cli;
namespace fs = std::filesystem;

namespace {

/// An empty folder to stand in, and an environment that names nothing.
struct nowhere {
  fs::path before = fs::current_path(), folder;

  nowhere() {
    auto name = (fs::temp_directory_path() / "troupe-place-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()));
    folder = name;
    fs::current_path(folder);
    ::unsetenv("TROUPE_SERVER");
    ::unsetenv("TROUPE_TOKEN");
    ::setenv("XDG_CONFIG_HOME", (folder / "config").c_str(), 1);
  }
  ~nowhere() {
    fs::current_path(before);
    fs::remove_all(folder);
  }
};

}  // namespace

TEST_CASE("no server is known where nothing names one") {
  nowhere here;
  CHECK_FALSE(find_server("", "", ""));
}

TEST_CASE("the file that serve leaves is readable by its user alone") {
  nowhere here;
  server_file{"http://127.0.0.1:1", "secret", ::getpid(), "x"}.write(here.folder / "data" /
                                                                     server_file::name);
  struct stat found {};
  REQUIRE(::stat((here.folder / "data" / server_file::name).c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0600);
}

TEST_CASE("a server is found from a folder below the one that it serves from") {
  nowhere here;
  server_file{"http://127.0.0.1:1", "secret", ::getpid(), "x"}.write(here.folder / ".troupe" /
                                                                     server_file::name);
  fs::create_directories(here.folder / "a" / "b");
  fs::current_path(here.folder / "a" / "b");
  const auto found = find_server("", "", "");
  REQUIRE(found);
  CHECK(found->url == "http://127.0.0.1:1");
  CHECK(found->token == "secret");
}

TEST_CASE("options win over the environment, the environment over files") {
  nowhere here;
  server_file{"http://file", "file", ::getpid(), ""}.write(user_server_file());
  CHECK(find_server("", "", "")->url == "http://file");
  ::setenv("TROUPE_SERVER", "http://env", 1);
  ::setenv("TROUPE_TOKEN", "env", 1);
  CHECK(find_server("", "", "")->url == "http://env");
  CHECK(find_server("http://option", "option", "")->url == "http://option");
  CHECK(find_server("http://option", "option", "")->token == "option");
  ::unsetenv("TROUPE_SERVER");
  ::unsetenv("TROUPE_TOKEN");
}

TEST_CASE("a stored token is sent to the server that it was made for and to no other") {
  nowhere here;
  server_file{"http://mine", "secret", ::getpid(), ""}.write(user_server_file());
  CHECK(find_server("http://mine", "", "")->token == "secret");
  CHECK(find_server("http://other", "", "")->token.empty());
}

TEST_CASE("a server that still runs is preferred to one that left its file behind") {
  nowhere here;
  server_file{"http://dead", "", 0x3ffffff, ""}.write(here.folder / ".troupe" / server_file::name);
  server_file{"http://alive", "", ::getpid(), ""}.write(user_server_file());
  CHECK(find_server("", "", "")->url == "http://alive");
}

TEST_CASE("where repositories may lie is known of the servers of this machine alone") {
  nowhere here;
  server_file{"http://mine", "secret", ::getpid(), "", std::vector<std::string>{"/srv"}}.write(
      user_server_file());
  CHECK(find_server("", "", "")->repository_roots == std::vector<std::string>{"/srv"});
  CHECK(find_server("http://mine", "", "")->repository_roots == std::vector<std::string>{"/srv"});
  CHECK_FALSE(find_server("http://other", "", "")->repository_roots);
}

TEST_CASE("a file that is not JSON is as good as none") {
  nowhere here;
  fs::create_directories(here.folder / ".troupe");
  std::ofstream(here.folder / ".troupe" / server_file::name) << "not json";
  CHECK_FALSE(find_server("", "", ""));
}
