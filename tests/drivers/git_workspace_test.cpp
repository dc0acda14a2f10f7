// The git effects end to end: a real remote, a mirror, and a workspace behind the real daemon.
#include <fstream>
#include <numeric>

#include <doctest/doctest.h>

#include "tests/drivers/git_stage.h"

using namespace troupe;
using namespace troupe::test;

namespace {

json file_of(const json& diff, const std::string& path) {
  for (const auto& file : diff["files"]) {
    if (file["path"] == path) return file;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("probe and mirror tell the default branch and the branches") {
  stage s;
  const auto probed = s.effect("git.probe", {{"url", s.remote.string()}, {"org", "acme"}})->result();
  CHECK(probed == json({{"default_branch", "main"}, {"empty", false}}));
  const auto mirrored = s.mirror();
  CHECK(mirrored["mirror"] == "mirror:widgets");
  CHECK(mirrored["branches"] == json({"main"}));
}

TEST_CASE("URLs outside the rules, unknown secrets and names that are no ids are refused") {
  stage s;
  CHECK(s.effect("git.probe", {{"url", "ext::sh -c id"}, {"org", "acme"}})->trouble().code == "invalid");
  CHECK(s.effect("git.probe", {{"url", "/etc"}, {"org", "acme"}})->trouble().code == "invalid");
  CHECK(s.effect("git.probe", {{"url", s.remote.string()}, {"org", "acme"}, {"credential", "none"}})
            ->trouble()
            .detail.find("`none`") != std::string::npos);
  CHECK(s.effect("git.mirror", {{"org", "acme"}, {"repository", "../x"}, {"url", s.remote.string()}})
            ->trouble()
            .code == "invalid");
}

TEST_CASE("a checkout has the branch, the base and the real origin, and a second attempt finds it done") {
  stage s;
  const auto made = s.ready();
  const auto main = sh(s.remote, "git rev-parse main");
  CHECK(made["head"] == main);
  CHECK(made["base"] == main);
  CHECK(made["created"] == true);
  CHECK(made["path"] == s.work.string());
  CHECK(sh(s.work, "git branch --show-current") == "task/one");
  CHECK(sh(s.work, "git remote get-url origin") == s.remote.string());
  CHECK(sh(s.work, "git config user.email") == "ada@example.org");
  CHECK(sh(s.work, "git status --porcelain").empty());
  CHECK(s.effect("git.checkout", s.checkout_body("task/one"))->result() == made);
}

TEST_CASE("an existing branch is taken with its base, and one that is missing is an error in words") {
  stage s;
  sh(s.remote,
     "git checkout -qb feature && git commit -q --allow-empty -m more && git checkout -q main && "
     "git commit -q --allow-empty -m 'main went on'");
  s.mirror();
  const auto taken = s.effect("git.checkout", s.checkout_body("feature", true))->result();
  CHECK(taken["created"] == false);
  CHECK(taken["head"] == sh(s.remote, "git rev-parse feature"));
  CHECK(taken["base"] == sh(s.remote, "git merge-base feature main"));
  const auto missing = s.effect("git.checkout", s.checkout_body("nothing", true))->trouble();
  CHECK(missing.code == "git_failed");
  CHECK(missing.detail.find("'nothing'") != std::string::npos);
  CHECK(s.effect("git.checkout", s.checkout_body("x", false, "no-base"))->trouble().detail.find("no-base") !=
        std::string::npos);
  CHECK(s.effect("git.checkout", s.checkout_body("--upload-pack=x"))->trouble().code == "git_failed");
}

TEST_CASE("an empty repository is checked out on an unborn branch and its first files are a diff") {
  stage s;
  std::filesystem::remove_all(s.remote);
  sh(s.box.path(), "git init -q --bare remote");
  s.mirror();
  const auto made = s.effect("git.checkout", s.checkout_body("first"))->result();
  CHECK(made["head"].is_null());
  write_file(s.work / "a.txt", "a\n");
  const auto diff = s.diff(made["base"]);
  CHECK(file_of(diff, "a.txt")["status"] == "untracked");
  CHECK(diff["additions"] == 1);
}

TEST_CASE("a diff shows changed, added, deleted, renamed, untracked and committed files against the base") {
  stage s;
  const auto base = s.ready()["base"];
  write_file(s.work / "README.md", "# A project\n\nOther text.\n");
  write_file(s.work / "staged.txt", "staged\n");
  sh(s.work, "git add staged.txt && git commit -qm 'A commit' && git mv src/main.c src/app.c");
  write_file(s.work / "new \"file\".txt", "one\ntwo\n");
  write_file(s.work / ".gitignore", "ignored\n");
  write_file(s.work / "ignored", "not shown\n");
  write_file(s.work / "image.bin", std::string("\0\1\2", 3));
  const auto index = read_file(s.work / ".git/index");
  const auto diff = s.diff(base);
  CHECK(file_of(diff, "README.md")["status"] == "modified");
  CHECK(file_of(diff, "staged.txt")["status"] == "added");
  CHECK(file_of(diff, "src/app.c")["status"] == "renamed");
  CHECK(file_of(diff, "src/app.c")["old_path"] == "src/main.c");
  CHECK(file_of(diff, "new \"file\".txt")["status"] == "untracked");
  CHECK(file_of(diff, "new \"file\".txt")["additions"] == 2);
  CHECK(file_of(diff, "image.bin")["binary"] == true);
  CHECK(file_of(diff, "ignored").is_null());
  CHECK(diff["diff"]["README.md"].get<std::string>().find("-Text.\n+Other text.\n") != std::string::npos);
  CHECK(diff["dirty"] == true);
  CHECK(diff["head"] == sh(s.work, "git rev-parse HEAD"));
  // Looking changes nothing: neither the agent's index nor its objects, and nothing is left behind.
  CHECK(read_file(s.work / ".git/index") == index);
  CHECK(s.leftovers() == 0);
}

TEST_CASE("large files are cut with a mark and their number is still told") {
  stage s;
  const auto base = s.ready()["base"];
  std::string lines;
  for (int i = 0; i < 20000; ++i) lines += std::to_string(i) + " some text to make it long\n";
  write_file(s.work / "long.txt", lines);
  write_file(s.work / "zz.txt", "after\n");
  const auto diff = s.diff(base);
  CHECK(file_of(diff, "long.txt")["cut"] == true);
  CHECK(file_of(diff, "long.txt")["additions"] == 20000);
  CHECK(diff["diff"]["long.txt"].get<std::string>().size() < 260 * 1024);
  CHECK(diff["diff"]["zz.txt"].get<std::string>().find("+after") != std::string::npos);
}

TEST_CASE(
    "hooks, filters, fsmonitor and external diffs that an agent set up are not run by the server's git") {
  stage s;
  const auto base = s.ready()["base"];
  const auto trap = (s.box.path() / "sprung").string();
  const auto program = (s.box.path() / "trap.sh").string();
  write_file(program, "#!/bin/sh\necho \"$0 $*\" >> " + trap + "\ncat\n");
  sh(s.box.path(), "chmod +x trap.sh");
  sh(s.work,
     "mkdir -p .git/hooks && for h in pre-commit post-commit commit-msg post-checkout post-index-change "
     "reference-transaction prepare-commit-msg; do cp " +
         program + " .git/hooks/$h; done");
  sh(s.work, "git config core.hooksPath .git/hooks && git config core.fsmonitor " + program +
                 " && git config filter.evil.clean " + program + " && git config filter.evil.smudge " +
                 program + " && git config filter.evil.required true && git config diff.external " + program +
                 " && git config diff.evil.textconv " + program + " && git config core.pager " + program +
                 " && git config gpg.program " + program + " && git config commit.gpgSign true");
  write_file(s.work / ".gitattributes", "* filter=evil diff=evil\n");
  write_file(s.work / "README.md", "changed\n");
  const auto diff = s.diff(base);
  CHECK(file_of(diff, "README.md")["status"] == "modified");
  const auto committed = s.effect("git.commit", {{"handle", handle},
                                                 {"message", "By the server"},
                                                 {"author", {{"name", "Bob"}, {"email", "b@x.org"}}}})
                             ->result();
  CHECK(committed["files"] == 2);
  s.effect("git.save_work", {{"handle", handle}, {"base", base}})->result();
  CHECK_MESSAGE(!std::filesystem::exists(trap), read_file(trap));
  CHECK(sh(s.work, "git -c core.fsmonitor=false log -1 --format='%an %ae %s'") ==
        "Bob b@x.org By the server");
}

TEST_CASE("a commit takes everything once, and nothing when there is nothing") {
  stage s;
  s.ready();
  const json body = {{"handle", handle},
                     {"message", "-m is not an option\n\nBody."},
                     {"author", {{"name", "Bob"}, {"email", "b@x.org"}}}};
  CHECK(s.effect("git.commit", body)->result() == json({{"commit", nullptr}, {"files", 0}}));
  write_file(s.work / "a.txt", "a\n");
  const auto first = test::start(s.effects, "git.commit", "the-effect", body)->result();
  // After a restart less time is left, and it is still the same request.
  auto later = std::make_shared<recorded_effect>("the-effect", body, true);
  later->deadline_in(std::chrono::seconds(20));
  for (const auto& kind : s.effects) {
    if (kind.name == "git.commit") kind.start(later);
  }
  const auto again = later->result();
  CHECK(first == again);
  CHECK(first["commit"] == sh(s.work, "git rev-parse HEAD"));
  CHECK(sh(s.work, "git log --format=%s | wc -l") == "2");
}

TEST_CASE("a commit with unresolved conflicts is refused and changes nothing") {
  stage s;
  s.ready();
  sh(s.work,
     "git checkout -qb other && echo a > README.md && git commit -qam a && git checkout -q task/one && "
     "echo b > README.md && git commit -qam b && ! git merge -q other >/dev/null 2>&1");
  const auto head = sh(s.work, "git rev-parse HEAD");
  const auto why =
      s.effect("git.commit",
               {{"handle", handle}, {"message", "x"}, {"author", {{"name", "B"}, {"email", "b@x"}}}})
          ->trouble();
  CHECK(why.code == "conflicts");
  CHECK(why.detail.find("conflict") != std::string::npos);
  CHECK(sh(s.work, "git rev-parse HEAD") == head);
}

TEST_CASE("saved work comes back in a fresh checkout: commits, changes, deletions and new files") {
  stage s;
  const auto base = s.ready()["base"];
  write_file(s.work / "committed.txt", "committed\n");
  sh(s.work, "git add -A && git commit -qm 'A commit'");
  write_file(s.work / "README.md", "changed\n");
  write_file(s.work / "untracked.txt", "untracked\n");
  std::filesystem::remove(s.work / "src/main.c");
  const auto head = sh(s.work, "git rev-parse HEAD"), status = sh(s.work, "git status --porcelain");
  const auto saved = s.effect("git.save_work", {{"handle", handle}, {"base", base}})->result();
  const auto file = s.data / task_folder / saved["bundle"].get<std::string>();
  CHECK(std::filesystem::file_size(file) == saved["bytes"]);
  CHECK(s.leftovers() == 0);
  CHECK(sh(s.work, "git status --porcelain") == status);

  // The branch has been rewritten at the remote meanwhile, so that no branch leads to the base any more.
  sh(s.remote, "git commit -q --amend -m 'Rewritten'");
  s.mirror();
  std::filesystem::remove_all(s.work);
  s.effect("git.checkout", s.checkout_body("task/one"))->result();
  const auto restored =
      s.effect("git.restore_work", {{"handle", handle}, {"bundle", saved["bundle"]}})->result();
  CHECK(restored["commit"] == saved["commit"]);
  CHECK(sh(s.work, "git rev-parse HEAD") == head);
  CHECK(sh(s.work, "git branch --show-current") == "task/one");
  CHECK(sh(s.work, "git status --porcelain") == status);
  CHECK(read_file(s.work / "untracked.txt") == "untracked\n");
  CHECK(s.leftovers() == 0);
}

TEST_CASE("saving twice without a change makes the same bundle, and old ones go") {
  stage s;
  const auto base = s.ready()["base"];
  const json body = {{"handle", handle}, {"base", base}};
  const auto bundles = [&] {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(s.data / task_folder))
      n += entry.is_regular_file();
    return n;
  };
  CHECK(s.effect("git.save_work", body)->result() == s.effect("git.save_work", body)->result());
  CHECK(bundles() == 1);
  for (int i = 0; i < 4; ++i) {
    write_file(s.work / "a.txt", std::to_string(i));
    s.effect("git.save_work", body)->result();
  }
  CHECK(bundles() == 2);
}

TEST_CASE("bundle names from elsewhere are refused and a workspace without a repository is told in words") {
  stage s;
  const auto base = s.ready()["base"];
  CHECK(s.effect("git.restore_work", {{"handle", handle}, {"bundle", "../../secrets"}})->trouble().code ==
        "invalid");
  CHECK(s.effect("git.diff", {{"handle", handle}, {"base", "--output=/tmp/x"}})->trouble().code == "invalid");
  std::filesystem::remove_all(s.work / ".git");
  const auto why = s.effect("git.diff", {{"handle", handle}, {"base", base}})->trouble();
  CHECK(why.code == "git_failed");
  CHECK(s.effect("git.diff", {{"handle", "local:other"}, {"base", base}})->trouble().code == "not_found");
}
