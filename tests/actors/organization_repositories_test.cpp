#include "tests/actors/instance.h"

using namespace troupe;
using namespace troupe::actors;
using namespace troupe::testing;

namespace {

std::function<bool(const json&)> in_state(std::string state) {
  return [state](const json& shown) {
    return !shown["repositories"].empty() && shown["repositories"][0]["state"] == state;
  };
}

}  // namespace

TEST_CASE("a repository is checked when it is added and then ready, with its default branch") {
  acme i;
  const auto added =
      i.org("org.add_repository", {{"url", "https://example.org/acme/widgets.git"}, {"credential", "forge"}});
  REQUIRE(added.ok());
  CHECK(added.result() == json{{"repository", "widgets"}, {"state", "checking"}});
  const auto probe = i.h.effect("git.probe");
  CHECK(probe->body() ==
        json{{"url", "https://example.org/acme/widgets.git"}, {"credential", "forge"}, {"org", "acme"}});
  probe->succeed({{"default_branch", "trunk"}, {"empty", false}});
  CHECK(i.await(in_state("ready"))["repositories"][0]["default_branch"] == "trunk");
}

TEST_CASE("a repository that does not answer shows git's words, and can be checked again") {
  acme i;
  REQUIRE(i.org("org.add_repository", {{"url", "/srv/git/none"}}).ok());
  i.h.effect("git.probe")->fail({502, "git_failed", "'/srv/git/none' is no repository"});
  const auto s = i.await(in_state("error"));
  CHECK(s["repositories"][0]["error"] ==
        json{{"code", "git_failed"}, {"detail", "'/srv/git/none' is no repository"}});
  CHECK(code(i.org("org.create_task", {{"repository", "none"}, {"description", "x"}})) ==
        "repository_not_ready");
  CHECK(i.org("org.check_repository", {{"repository", "none"}}).result()["state"] == "checking");
  CHECK(code(i.org("org.check_repository", {{"repository", "none"}})) == "wrong_state");
  i.h.effect("git.probe")->succeed({{"default_branch", "main"}, {"empty", true}});
  CHECK(i.await(in_state("ready"))["repositories"][0]["empty"] == true);
}

TEST_CASE("the outcome of a check that was overtaken says nothing") {
  acme i;
  REQUIRE(i.org("org.add_repository", {{"repository", "widgets"}, {"url", "/srv/git/old"}}).ok());
  const auto old = i.h.effect("git.probe");
  REQUIRE(i.org("org.update_repository", {{"repository", "widgets"}, {"url", "/srv/git/new"}}).ok());
  old->fail({502, "git_failed", "the old one"});
  const auto fresh = i.h.effect("git.probe");
  CHECK(fresh->body()["url"] == "/srv/git/new");
  CHECK(i.h.snapshot("org/acme")["repositories"][0]["state"] == "checking");
  fresh->succeed({{"default_branch", "main"}, {"empty", false}});
  i.await(in_state("ready"));
}

TEST_CASE("settings of a repository change without another check, its address with one") {
  acme i;
  i.add_repository("widgets");
  CHECK(i.org("org.update_repository", {{"repository", "widgets"},
                                        {"setup_command", "make"},
                                        {"environment", {{"A", "1"}, {"KEY", {{"secret", "key"}}}}}})
            .result()["state"] == "ready");
  auto r = i.h.ask("org/acme", "org.get_repository", {{"repository", "widgets"}}).result();
  CHECK(r["setup_command"] == "make");
  CHECK(r["environment"]["KEY"]["secret"] == "key");
  REQUIRE(i.org("org.update_repository", {{"repository", "widgets"}, {"setup_command", nullptr}}).ok());
  r = i.h.ask("org/acme", "org.get_repository", {{"repository", "widgets"}}).result();
  CHECK(r["setup_command"].is_null());
  CHECK(r["environment"]["A"] == "1");
  CHECK(i.org("org.update_repository", {{"repository", "widgets"}, {"url", "/srv/git/moved"}})
            .result()["state"] == "checking");
}

TEST_CASE("addresses and branches that git must not see are refused and nothing is kept") {
  acme i;
  for (const auto* url : {"ext::sh -c id", "-x", "https://user:pass@example.org/x", "http://example.org/x"}) {
    CHECK_MESSAGE(code(i.org("org.add_repository", {{"url", url}})) == "invalid_url", url);
  }
  CHECK(code(i.org("org.add_repository", {{"url", "/srv/git/x"}, {"base_branch", "--upload-pack=id"}})) ==
        "invalid_branch");
  CHECK(i.h.snapshot("org/acme")["repositories"].empty());
  CHECK(i.h.waiting("git.probe") == 0);
}

TEST_CASE("two repositories of one name are refused") {
  acme i;
  i.add_repository("widgets");
  CHECK(code(i.org("org.add_repository", {{"url", "https://example.org/widgets"}})) == "exists");
  CHECK(
      i.org("org.add_repository", {{"repository", "widgets2"}, {"url", "https://example.org/widgets"}}).ok());
}

TEST_CASE("a repository with tasks stays until they are gone") {
  acme i;
  i.add_repository("widgets");
  const std::string task =
      i.org("org.import_tasks", {{"tasks", {{{"repository", "widgets"}, {"description", "Mend"}}}}})
          .result()["tasks"][0]["task"];
  CHECK(code(i.org("org.remove_repository", {{"repository", "widgets"}})) == "repository_in_use");
  REQUIRE(i.org("org.delete_task", {{"task", task}}).ok());
  CHECK(i.org("org.remove_repository", {{"repository", "widgets"}}).ok());
  CHECK(i.org("org.remove_repository", {{"repository", "widgets"}}).error().status == 404);
}

TEST_CASE("a check that ran when the server went down runs again") {
  acme i;
  REQUIRE(i.org("org.add_repository", {{"repository", "widgets"}, {"url", "/srv/git/widgets"}}).ok());
  const auto held = i.h.effect("git.probe");  // let go of, it would fail
  i.h.restart();
  i.h.effect("git.probe")->succeed({{"default_branch", "main"}, {"empty", false}});
  i.await(in_state("ready"));
}
