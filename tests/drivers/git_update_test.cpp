// git.update: what others did is merged in the workspace; conflicts are data, and can be given up.
#include <doctest/doctest.h>

#include "drivers/git/changes.h"
#include "tests/drivers/git_stage.h"

using namespace troupe;
using namespace troupe::test;

namespace {

struct update_stage : stage {
  update_stage() {
    ready();
    write_file(work / "mine.txt", "mine\n");
    sh(work, "git add -A && git commit -qm mine");
  }
  std::shared_ptr<recorded_effect> update(const std::string& from = "main") {
    mirror();
    return effect("git.update", {{"handle", handle},
                                 {"branch", "task/one"},
                                 {"from", from},
                                 {"base_branch", "main"},
                                 {"author", {{"name", "Ada"}, {"email", "ada@example.org"}}}});
  }
  void theirs(const std::string& file, const std::string& text) {
    write_file(remote / file, text);
    sh(remote, "git add -A && git commit -qm theirs");
  }
  std::string at(const std::filesystem::path& where, const std::string& what) {
    return sh(where, "git rev-parse " + what);
  }
};

}  // namespace

TEST_CASE("what is new on the base is merged, the base moves with it, and the diff stays the task's own") {
  update_stage s;
  CHECK(s.update()->result()["state"] == "current");
  s.theirs("theirs.txt", "theirs\n");
  const auto done = s.update()->result();
  CHECK(done["state"] == "merged");
  CHECK(done["base"] == s.at(s.remote, "main"));
  CHECK(done["commit"] == s.at(s.remote, "main"));
  CHECK(done["head"] == s.at(s.work, "HEAD"));
  CHECK(read_file(s.work / "theirs.txt") == "theirs\n");
  CHECK(sh(s.work, "git log -1 --format='%an %s'") == "Ada Merge branch 'main' into task/one");
  const auto diff = s.diff(done["base"]);
  CHECK(diff["files"].size() == 1);
  CHECK(diff["files"][0]["path"] == "mine.txt");
  CHECK_FALSE(diff.contains("merge"));
  CHECK(s.leftovers() == 0);
}

TEST_CASE("conflicts are told by file and kind, seen by every later look, and gone once they are committed") {
  update_stage s;
  write_file(s.work / "README.md", "# Mine\n");
  sh(s.work, "git rm -q src/main.c && git add -A && git commit -qm more");
  s.theirs("README.md", "# Theirs\n");
  s.theirs("src/main.c", "int main(void) { return 1; }\n");
  s.theirs("mine.txt", "theirs too\n");
  const auto head = s.at(s.work, "HEAD");
  const auto done = s.update()->result();
  CHECK(done["state"] == "conflicts");
  CHECK(done["head"] == head);
  CHECK(done["count"] == 3);
  CHECK(done["files"] == json({{{"path", "README.md"}, {"how", "both_modified"}},
                               {{"path", "mine.txt"}, {"how", "both_added"}},
                               {{"path", "src/main.c"}, {"how", "deleted_here"}}}));
  CHECK(read_file(s.work / "README.md").find("<<<<<<<") != std::string::npos);
  const auto look = s.diff(done["base"]);
  CHECK(look["merge"]["commit"] == s.at(s.remote, "main"));
  CHECK(look["merge"]["files"] == done["files"]);
  CHECK(s.update()->trouble().code == "merge_under_way");
  CHECK(s.effect("git.commit",
                 {{"handle", handle}, {"message", "x"}, {"author", {{"name", "B"}, {"email", "b@x"}}}})
            ->trouble()
            .code == "conflicts");

  write_file(s.work / "README.md", "# Both\n");
  sh(s.work, "git add README.md mine.txt && git rm -q src/main.c");
  CHECK(s.diff(done["base"])["merge"]["count"] == 0);
  sh(s.work, "git commit -q --no-edit");
  CHECK_FALSE(s.diff(done["base"]).contains("merge"));
  CHECK(s.update()->result()["state"] == "current");
}

TEST_CASE("a merge with conflicts is given up, and everything is as it was") {
  update_stage s;
  const auto base = s.at(s.remote, "main"), head = s.at(s.work, "HEAD");
  s.theirs("mine.txt", "theirs too\n");
  CHECK(s.update()->result()["state"] == "conflicts");
  const json body{{"handle", handle}, {"base_branch", "main"}};
  const auto aborted = s.effect("git.abort_update", body)->result();
  CHECK(aborted["head"] == head);
  CHECK(aborted["base"] == base);
  CHECK(sh(s.work, "git status --porcelain").empty());
  CHECK(read_file(s.work / "mine.txt") == "mine\n");
  CHECK(s.effect("git.abort_update", body)->trouble().code == "no_merge");
}

TEST_CASE("changes that are not committed are not overwritten") {
  update_stage s;
  s.theirs("README.md", "# Theirs\n");
  write_file(s.work / "README.md", "# Not committed\n");
  const auto why = s.update()->trouble();
  CHECK(why.code == "uncommitted_changes");
  CHECK(why.detail.find("README.md") != std::string::npos);
  CHECK(read_file(s.work / "README.md") == "# Not committed\n");
  CHECK(s.leftovers() == 0);
}

TEST_CASE(
    "what somebody else pushed to the task's branch is taken in by its name, and another branch is refused") {
  update_stage s;
  sh(s.remote,
     "git checkout -q -b task/one && git commit -q --allow-empty -m theirs && git checkout -q main");
  const auto done = s.update("task/one")->result();
  CHECK(done["state"] == "merged");
  CHECK(done["base"] == s.at(s.remote, "main"));
  CHECK(s.update("nothing")->trouble().detail.find("'nothing'") != std::string::npos);
  sh(s.work, "git checkout -q -b elsewhere");
  CHECK(s.update()->trouble().detail.find("not on the task's branch") != std::string::npos);
}

TEST_CASE("a list of conflicts from an adversary is read within its limits") {
  const auto entry = [](const std::string& path, char stage) {
    return "100644 0000000000000000000000000000000000000000 " + std::string(1, stage) + "\t" + path + '\0';
  };
  std::string list;
  for (int i = 0; i < 400; ++i)
    list += entry("f" + std::to_string(i), '2') + entry("f" + std::to_string(i), '3');
  CHECK(git::read_unmerged(list)["count"] == 400);
  CHECK(git::read_unmerged(list)["files"].size() == 300);
  CHECK(git::read_unmerged("nonsense\0without end")["count"] == 0);
  CHECK(git::read_unmerged(entry("\xff", '1'))["files"][0]["how"] == "both_deleted");
}
