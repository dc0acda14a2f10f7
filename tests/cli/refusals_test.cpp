// What goes wrong at the terminal is told: what was tried, why it failed, what to do. And it changes nothing.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

#include "storage/database.h"
#include "tests/cli/program.h"

using namespace troupe::cli::testing;
using nlohmann::json;

namespace {

/// A server with the organization acme, which has the repository widgets.
struct at_work {
  scratch home;
  std::unique_ptr<serving> server;

  explicit at_work(std::vector<std::string> more = {}) {
    make_repository(home);
    more.insert(more.end(), {"--repo-root", home.path().string()});
    server = std::make_unique<serving>(home, "data", more);
    parsed(run_troupe(home, {"org", "create", "acme", "--json"}));
    parsed(acme({"repo", "add", "widgets", "--json"}));
  }

  ran acme(std::vector<std::string> words) {
    words.insert(words.end(), {"--org", "acme"});
    return run_troupe(home, words);
  }
  /// Runs, fails, and gives the problem that is told.
  json refused(std::vector<std::string> words) {
    words.push_back("--json");
    const auto r = acme(words);
    INFO(r.err);
    CHECK(r.exit_code == 1);
    return json::parse(r.err).at("error");
  }
  bool isolates() const {
    if (server->said().at("tier") != "none") return true;
    std::puts("[skipped] this machine isolates nothing");
    return false;
  }
};

}  // namespace

TEST_CASE("a body that does not fit is told by member, in words, and changes nothing") {
  at_work w;
  const auto why = w.refused({"org", "set", "--agent", "no agent"});
  CHECK(why.at("code") == "invalid_body");
  CHECK(why.at("violations").size() == 1);
  CHECK(why["violations"][0].at("pointer") == "/default_agent");
  CHECK(has(why["violations"][0].at("message"), "does not match ^[A-Za-z0-9]"));
  const auto text = w.acme({"task", "new", "x", "--provider", "nobody"}).err;
  CHECK(
      text ==
      "error: what was given does not fit\n  /provider: is none of [\"local\",\"unsafe\"] (invalid_body)\n");
  CHECK(parsed(w.acme({"org", "show", "--json"})).at("settings").at("default_agent") == "scripted");
  CHECK(parsed(w.acme({"task", "list", "--json"})).at("tasks").empty());
}

TEST_CASE("an actor's past reads the same from its server and from its data folder at rest") {
  at_work w;
  parsed(w.acme({"org", "set", "--display-name", "Acme Works", "--json"}));
  const std::vector<std::vector<std::string>> looks{{"history", "org/acme", "--last", "2"},
                                                    {"at", "org/acme", "2", "--table", "settings"},
                                                    {"diff", "org/acme", "--from", "1", "--to", "2"},
                                                    {"why", "org/acme", "settings", "1"}};
  const auto look = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "inspect");
    words.insert(words.end(), {"--data", (w.home.path() / "data").string(), "--json"});
    return parsed(run_troupe(w.home, words));
  };
  std::vector<json> served;
  for (const auto& words : looks) served.push_back(look(words));
  CHECK(served[3]["changes"][0]["name"] == "org.update_settings");
  const auto mistake = w.refused({"inspect", "query", "org/acme", "select * form settings"});
  CHECK(mistake.at("code") == "bad_sql");
  CHECK(has(mistake.at("detail"), "near \"form\": syntax error"));

  CHECK(w.server->stop() == 0);
  for (std::size_t n = 0; n < looks.size(); ++n) CHECK_MESSAGE(look(looks[n]) == served[n], looks[n][0]);
  CHECK(look({"actors", "--kind", "org"})["actors"].size() == 1);
  CHECK(look({"dead"})["messages"].empty());
}

TEST_CASE("what does not exist, what one may not see and what one may not do each have a code") {
  at_work w;
  CHECK(w.refused({"task", "show", "org/acme/task/none"}).at("code") == "not_found");
  CHECK(w.refused({"inspect", "actor", "no key"}).at("code") == "bad_key");
  CHECK(w.refused({"--token", "wrong", "task", "list"}).at("code") == "unauthorized");
  CHECK(w.refused({"task", "new", "x", "--repo", "none"}).at("code") == "not_found");
  CHECK(w.refused({"org", "remove-member", "owner"}).at("code") == "last_owner");
  parsed(run_troupe(w.home, {"access", "add-user", "bob", "--json"}));
  const auto token =
      parsed(run_troupe(w.home, {"access", "token", "bob", "--json"})).at("secret").get<std::string>();
  const auto hidden = w.refused({"--token", token, "task", "show", "org/acme/task/none"});
  CHECK(hidden.at("code") == "not_found");
  CHECK(w.refused({"--token", token, "org", "show"}).at("code") == "not_found");
  parsed(w.acme({"org", "add-member", "bob", "viewer", "--json"}));
  json why{{"code", "not_found"}};
  // The membership travels from the organization to the users.
  for (int i = 0; i < 100 && why.at("code") == "not_found"; ++i)
    why = w.refused({"--token", token, "task", "new", "x", "--repo", "widgets"});
  CHECK(why.at("code") == "forbidden");
}

TEST_CASE("a repository that does not answer says why, in git's words, and stays to be corrected") {
  at_work w;
  const auto r = w.acme({"repo", "add", (w.home / "nothing").string()});
  CHECK(r.exit_code == 1);
  CHECK(has(r.err, "there is nothing at that path"));
  CHECK(has(r.err, "troupe repo set nothing --url"));
  std::filesystem::create_directories(w.home / "empty");
  CHECK(w.acme({"repo", "add", (w.home / "empty").string()}).exit_code == 1);
  CHECK(has(w.acme({"repo", "add", "https://127.0.0.1:1/x.git"}).err, "127.0.0.1"));
  CHECK(w.refused({"repo", "add", "https://user:password@example.org/x.git"}).at("code") == "invalid_url");
  CHECK(w.refused({"repo", "add", "ext::sh -c id"}).at("code") == "invalid_url");
  CHECK(w.refused({"repo", "check", "none"}).at("code") == "not_found");
}

TEST_CASE(
    "a branch that does not exist and an agent that is not installed fail the task with the reason, once") {
  at_work w;
  if (!w.isolates()) return;
  const auto count = [](const std::string& text, std::string_view part) {
    int n = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
  };
  const auto missing = w.acme({"task", "new", "x", "--base", "nowhere", "--watch", "--yes"});
  CHECK(missing.exit_code == 1);
  CHECK(count(missing.out + missing.err, "has no branch 'nowhere'") == 1);
  CHECK(has(missing.err, "troupe task retry"));
  const auto nobody = w.acme({"task", "new", "x", "--agent", "nobody", "--watch", "--yes"});
  CHECK(nobody.exit_code == 1);
  CHECK(has(nobody.out, "unsupported agent: nobody"));
}

TEST_CASE("an agent that dies at its start fails the task in words, one that prints garbage is heard") {
  at_work w;
  if (!w.isolates()) return;
  const auto starting = [&](const std::string& how) {
    parsed(w.acme({"repo", "set", "widgets", "--env", "SCRIPTED_AGENT_START=" + how, "--json"}));
    return w.acme({"task", "new", "say x", "--title", how, "--watch", "--yes"});
  };
  const auto dead = starting("die");
  CHECK(dead.exit_code == 1);
  CHECK(has(dead.out, "the agent scripted did not start"));
  CHECK(has(dead.out, "dying at start"));
  CHECK(starting("garbage").exit_code == 0);
  CHECK(has(w.acme({"session", "transcript", "garbage"}).out, "printed: Warning: this line is not JSON"));
}

TEST_CASE("a prompt to a closed session is refused, and a resumed one takes it") {
  at_work w;
  if (!w.isolates()) return;
  REQUIRE(w.acme({"task", "new", "say hello", "--title", "Talk", "--watch", "--yes"}).exit_code == 0);
  parsed(w.acme({"session", "close", "talk", "--json"}));
  CHECK(w.refused({"session", "prompt", "talk", "say more"}).at("code") == "session_closed");
  parsed(w.acme({"session", "resume", "talk", "--json"}));
  CHECK(w.acme({"session", "prompt", "talk", "say more", "--wait", "--yes"}).exit_code == 0);
}

TEST_CASE("a second prompt waits for the first, can be taken back, and is not taken back twice") {
  at_work w;
  if (!w.isolates()) return;
  REQUIRE(w.acme({"task", "new", "say hello", "--title", "Talk", "--watch", "--yes"}).exit_code == 0);
  parsed(w.acme({"session", "prompt", "talk", "sleep 50", "--json"}));
  const auto second =
      parsed(w.acme({"session", "prompt", "talk", "say never", "--json"})).at("prompt").get<std::string>();
  CHECK(has(w.acme({"session", "show", "talk"}).out, "say never"));
  parsed(w.acme({"session", "unqueue", "talk", second, "--json"}));
  CHECK(w.refused({"session", "unqueue", "talk", second}).at("code") == "not_found");
  parsed(w.acme({"session", "cancel", "talk", "--json"}));
  CHECK(w.acme({"session", "prompt", "talk", "say after", "--wait", "--yes"}).exit_code == 0);
  CHECK_FALSE(has(w.acme({"session", "transcript", "talk"}).out, "say never"));
}

TEST_CASE("a sandbox that died fails its task with a way on, and the retry has the work") {
  at_work w;
  if (!w.isolates()) return;
  REQUIRE(w.acme({"task", "new", "write kept.txt here", "--title", "Work", "--watch", "--yes"}).exit_code ==
          0);
  // Its supervisor, as the machine names it.
  const auto found = run(w.home, {"pgrep", "-f", "sandboxd.*" + (w.home / "data").string()});
  REQUIRE(found.exit_code == 0);
  for (std::istringstream ids(found.out); ids;) {
    pid_t id = 0;
    if (ids >> id) ::kill(id, SIGKILL);
  }
  // It would wait for a sandbox otherwise.
  const auto prompted = w.acme({"session", "prompt", "work", "say on", "--wait"});
  CHECK(prompted.exit_code == 1);
  CHECK(has(prompted.err, "its supervisor is gone. The work was last saved"));
  CHECK(has(prompted.err, "troupe task retry"));
  parsed(w.acme({"task", "retry", "work", "--json"}));
  CHECK(w.acme({"session", "prompt", "work", "run cat kept.txt", "--wait", "--yes"}).exit_code == 0);
  const auto transcript = w.acme({"session", "transcript", "work"}).out;
  INFO(transcript);
  CHECK(has(transcript, "● cat kept.txt"));
  CHECK(has(transcript, "    │ here"));
}

TEST_CASE("a data folder of a newer version is refused by name, and the newer program finds it as it was") {
  scratch home;
  { CHECK(serving(home).stop() == 0); }
  const auto file = home / "data/access/actor.sqlite";
  const auto set = [&](const char* how) {
    troupe::storage::database db(file);
    db.run(std::string("UPDATE storage_schema SET version = version ") + how + " WHERE component = 'access'");
  };
  set("+ 1");
  const auto r = run_troupe(home, {"serve", "--data", (home / "data").string(), "--port", "0"});
  CHECK(r.exit_code == 1);
  CHECK(has(r.err, "this program knows"));
  CHECK(has(r.err, "written by a newer troupe"));
  set("- 1");
  serving again(home);
  CHECK(parsed(run_troupe(home, {"access", "users", "--json"})).at("users").size() == 1);
}

TEST_CASE("too few descriptors are told before anything is made") {
  scratch home;
  const auto r = run(home, {"sh", "-c", "ulimit -n 100; exec " TROUPE_PROGRAM " serve --data data --port 0"});
  CHECK(r.exit_code == 1);
  CHECK(has(r.err, "only 100 descriptors"));
  CHECK(has(r.err, "LimitNOFILE="));
  CHECK_FALSE(std::filesystem::exists(home / "data"));
}

TEST_CASE("without user namespaces the doctor names the probe, its errno and the remedy") {
  scratch home;
  // All ids are mapped, so that one can be nobody in particular where no further namespace may be made.
  std::ofstream(home / "without") << R"(mkfifo ready go
# A program gets its rights in the namespace when it is started after the ids were mapped.
unshare -U sh -c 'echo > ready; read x < go; exec sh inside "$@"' sh "$@" &
read x < ready
echo "0 0 65536" > /proc/$!/uid_map
echo "0 0 65536" > /proc/$!/gid_map
echo > go
wait $!
)";
  std::ofstream(home / "inside") << R"(echo 0 > /proc/sys/user/max_user_namespaces
exec setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set=-all --no-new-privs "$@"
)";
  const auto without = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"timeout", "30", "sh", "without"});
    const auto r = run(home, words);
    std::filesystem::remove(home / "ready");
    std::filesystem::remove(home / "go");
    return r;
  };
  if (::geteuid() != 0 || without({"test", "-x", TROUPE_PROGRAM}).exit_code != 0) {
    std::puts("[skipped] taking namespaces away needs root");
    return;
  }
  const auto r = without({TROUPE_PROGRAM, "doctor", "--json"});
  INFO(r.err);
  CHECK(r.exit_code == 1);
  const auto found = json::parse(r.out);
  CHECK(found.at("tier") == "none");
  const auto& checks = found.at("checks");
  const auto probe =
      std::ranges::find_if(checks, [](const json& c) { return c.at("check") == "user_namespaces"; });
  REQUIRE(probe != checks.end());
  CHECK(has(probe->at("detail"), "max_*_namespaces exceeded"));
  CHECK(has(probe->at("consequence"), "--unsafe-no-isolation"));
  CHECK(has(probe->at("remedy"), "user.max_user_namespaces"));
}
