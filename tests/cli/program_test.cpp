// The program as people meet it: help, exit codes, errors, and a server that starts, stops and starts again.
#include "tests/cli/program.h"

#include <sys/stat.h>

#include <doctest/doctest.h>

#include "net/wire/client.h"

using namespace troupe::cli::testing;
using nlohmann::json;
namespace wire = troupe::wire;

namespace {

int status_of(const std::string& url, wire::request what) {
  wire::blocking_client client;
  const auto to = wire::endpoint::parse(url);
  const auto answer = client.fetch(*to, std::move(what));
  REQUIRE(answer);
  return answer->status;
}

}  // namespace

TEST_CASE("every command has help with examples") {
  scratch home;
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"serve"},
                                                                                     {"demo"},
                                                                                     {"org"},
                                                                                     {"org", "create"},
                                                                                     {"access"},
                                                                                     {"access", "token"},
                                                                                     {"repo"},
                                                                                     {"repo", "add"},
                                                                                     {"task"},
                                                                                     {"task", "new"},
                                                                                     {"task", "diff"},
                                                                                     {"session"},
                                                                                     {"session", "prompt"},
                                                                                     {"session", "answer"},
                                                                                     {"sandbox"},
                                                                                     {"sandbox", "run"},
                                                                                     {"audit"},
                                                                                     {"audit", "list"},
                                                                                     {"inspect"},
                                                                                     {"inspect", "query"},
                                                                                     {"inspect", "diff"},
                                                                                     {"inspect", "why"},
                                                                                     {"inspect", "graph"},
                                                                                     {"inspect", "top"},
                                                                                     {"backup"},
                                                                                     {"restore"},
                                                                                     {"verify"},
                                                                                     {"compact"},
                                                                                     {"doctor"}}) {
    auto line = words;
    line.push_back("--help");
    const auto r = run_troupe(home, line);
    INFO(words.front(), " ", words.back());
    CHECK(r.exit_code == 0);
    CHECK(has(r.out, "examples:\n  troupe " + words.front()));
    CHECK(r.err.empty());
  }
}

TEST_CASE("what is not a command line is a mistake of usage, told on standard error") {
  scratch home;
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{},
                                             {"nothing"},
                                             {"task"},
                                             {"task", "new"},
                                             {"serve", "--port", "x"},
                                             {"org", "create", "a", "b"},
                                             {"session", "answer", "x", "maybe"},
                                             {"task", "list", "--status", "lost"}}) {
    const auto r = run_troupe(home, words);
    CHECK(r.exit_code == 2);
    CHECK(has(r.err, "error:"));
    CHECK(r.out.empty());
  }
}

TEST_CASE("an unfinished command line shows how it could go on, a wrong one says where to look") {
  scratch home;
  CHECK(has(run_troupe(home, {}).err, "Subcommands:\n  demo "));
  CHECK(has(run_troupe(home, {"task"}).err, "Usage: troupe task [OPTIONS] SUBCOMMAND"));
  CHECK(has(run_troupe(home, {"task", "new"}).err, "troupe task new --help"));
  const auto as_json = run_troupe(home, {"task", "new", "--json"});
  CHECK(as_json.exit_code == 2);
  CHECK(json::parse(as_json.err).at("error").contains("detail"));
}

TEST_CASE("a command that needs a server says how to get one") {
  scratch home;
  const auto r = run_troupe(home, {"task", "list"});
  CHECK(r.exit_code == 1);
  CHECK(has(r.err, "no server is known here"));
  CHECK(has(r.err, "troupe serve"));
  const auto named = run_troupe(home, {"task", "list", "--org", "a", "--server", "http://127.0.0.1:1"});
  CHECK(named.exit_code == 1);
  CHECK(has(named.err, "no server answers at http://127.0.0.1:1"));
}

TEST_CASE("with --json an error is JSON too") {
  scratch home;
  const auto r = run_troupe(home, {"task", "list", "--json"});
  CHECK(r.exit_code == 1);
  CHECK(json::parse(r.err).at("error").contains("detail"));
}

TEST_CASE("a server serves, is found by commands of the same user, and stops cleanly") {
  scratch home;
  serving server(home);
  CHECK(status_of(server.url(), {.target = "/v1/health"}) == 200);
  CHECK(status_of(server.url(), {.target = "/v1/actors/access/snapshot"}) == 401);
  const auto users = parsed(run_troupe(home, {"access", "users", "--json"}));
  CHECK(users.at("users").size() == 1);
  CHECK(users["users"][0].at("user") == "owner");
  struct stat left {};
  REQUIRE(::stat((home / "data/server.json").c_str(), &left) == 0);
  CHECK((left.st_mode & 0777) == 0600);
  CHECK(server.stop() == 0);
  CHECK(run_troupe(home, {"access", "users"}).exit_code == 1);
}

TEST_CASE("starting again and again makes no token after the first") {
  scratch home;
  for (int i = 0; i < 3; ++i) {
    serving server(home);
    const auto users = parsed(run_troupe(home, {"access", "users", "--json"}));
    CHECK(users.at("users")[0].at("tokens") == 1);
    CHECK(server.stop() == 0);
  }
}

TEST_CASE("a sign-in link opens a session once") {
  scratch home;
  serving server(home);
  const std::string link = server.said().at("link");
  const auto word = link.substr(link.find('=') + 1);
  REQUIRE(!word.empty());
  wire::request sign_in{
      .method = "POST", .target = "/v1/session", .headers = {{"Content-Type", "application/json"}}};
  sign_in.body = json{{"word", word}}.dump();
  CHECK(status_of(server.url(), sign_in) == 204);
  CHECK(status_of(server.url(), sign_in) == 401);
}

TEST_CASE("who has signed in is known at once") {
  scratch home;
  serving server(home);
  wire::blocking_client client;
  const auto to = wire::endpoint::parse(server.url());
  for (int i = 0; i < 10; ++i) {
    const std::string link = parsed(run_troupe(home, {"access", "link", "owner", "--json"})).at("url");
    wire::request sign_in{
        .method = "POST", .target = "/v1/session", .headers = {{"Content-Type", "application/json"}}};
    sign_in.body = json{{"word", link.substr(link.find('=') + 1)}}.dump();
    const auto answer = client.fetch(*to, std::move(sign_in));
    REQUIRE(answer);
    const auto set = answer->headers.find("Set-Cookie");
    REQUIRE(set);
    const std::string cookie(set->substr(0, set->find(';')));
    CHECK(status_of(server.url(), {.target = "/v1/session", .headers = {{"Cookie", cookie}}}) == 200);
  }
}

TEST_CASE("an organization survives kill -9 of its server, and the token is still good") {
  scratch home;
  {
    serving server(home);
    parsed(run_troupe(home, {"org", "create", "acme", "--json"}));
    server.kill();
  }
  serving server(home);
  json list = json::array();
  // The membership travels from the organization to the users in a message of its own.
  for (int i = 0; i < 100 && list.empty(); ++i) list = parsed(run_troupe(home, {"org", "list", "--json"}));
  REQUIRE(list.size() == 1);
  CHECK(list[0] == json{{"organization", "acme"}, {"role", "owner"}});
}

TEST_CASE("a second server on one data folder is refused and told apart from a port in use") {
  scratch home;
  serving server(home);
  const auto same = run_troupe(home, {"serve", "--data", (home / "data").string(), "--port", "0"});
  CHECK(same.exit_code == 1);
  CHECK(has(same.err, "is in use by another server"));
  CHECK(has(same.err, server.url()));
  const auto port = server.url().substr(server.url().rfind(':') + 1);
  const auto taken = run_troupe(home, {"serve", "--data", (home / "other").string(), "--port", port});
  CHECK(taken.exit_code == 1);
  CHECK(has(taken.err, port));
  CHECK(has(taken.err, "--port"));
}

TEST_CASE("--no-auth is refused where others could reach it") {
  scratch home;
  const auto r =
      run_troupe(home, {"serve", "--data", (home / "data").string(), "--host", "0.0.0.0", "--no-auth"});
  CHECK(r.exit_code == 2);
  CHECK(has(r.err, "--no-auth"));
}

TEST_CASE("a revoked token is refused at once") {
  scratch home;
  serving server(home);
  const auto made = parsed(run_troupe(home, {"access", "token", "--label", "ci", "--json"}));
  const auto with = [&] {
    return status_of(server.url(),
                     {.target = "/v1/session",
                      .headers = {{"Authorization", "Bearer " + made.at("secret").get<std::string>()}}});
  };
  int status = 401;
  for (int i = 0; i < 100 && status == 401; ++i) status = with();
  CHECK(status == 200);
  parsed(run_troupe(home, {"access", "revoke", made.at("token").get<std::string>(), "--json"}));
  for (int i = 0; i < 1000 && status == 200; ++i) status = with();
  CHECK(status == 401);
}

TEST_CASE("a backup that a server made while it served is restored, verified and served") {
  scratch home;
  const auto place = (home / "backups").string(), again = (home / "again").string();
  {
    serving server(home);
    REQUIRE(run_troupe(home, {"--data", (home / "data").string(), "org", "create", "acme"}).exit_code == 0);
    const auto made =
        parsed(run_troupe(home, {"--json", "--data", (home / "data").string(), "backup", place}));
    CHECK(made["actors"].get<int>() >= 4);
    CHECK(parsed(run_troupe(home, {"--json", "verify", (home / "data").string()}))["findings"].empty());
    server.stop();
  }
  CHECK(parsed(run_troupe(home, {"--json", "verify", place}))["findings"].empty());
  CHECK(parsed(run_troupe(home, {"--json", "restore", place, "--to", again}))["actors"].get<int>() >= 4);
  const auto twice = run_troupe(home, {"restore", place, "--to", again});
  CHECK(twice.exit_code == 1);
  CHECK(has(twice.err, "something in that folder"));
  std::filesystem::copy((home / "data") / "secrets.key", (home / "again") / "secrets.key");
  serving server(home, "again");
  const auto orgs = run_troupe(home, {"--json", "--data", again, "org", "list"});
  INFO(orgs.err);
  CHECK(has(orgs.out, "acme"));
  server.stop();
  CHECK(parsed(run_troupe(home, {"--json", "verify", again}))["findings"].empty());
  const auto at_rest = parsed(run_troupe(home, {"--json", "--data", again, "backup", place}));
  CHECK(at_rest["held_ms"] == 0);
}
