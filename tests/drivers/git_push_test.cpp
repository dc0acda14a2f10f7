// git.push against real repositories on the server's disk: what goes through, and each way in which it does
// not.
#include <sys/mount.h>

#include <cstdio>
#include <thread>

#include <doctest/doctest.h>

#include "drivers/git/credentials.h"
#include "drivers/git/push.h"
#include "tests/drivers/git_stage.h"

using namespace troupe;
using namespace troupe::test;

namespace {

struct push_stage : stage {
  std::string base;

  push_stage() {
    std::filesystem::remove_all(remote);
    make_repository(box.path() / "seed");
    sh(box.path(), "git clone -q --bare seed remote");
    base = ready()["base"];
  }
  json push_body() {
    return {{"handle", handle}, {"org", "acme"},        {"repository", "widgets"}, {"url", remote.string()},
            {"base", base},     {"branch", "task/one"}, {"owner", "ada"}};
  }
  std::shared_ptr<recorded_effect> push() { return effect("git.push", push_body()); }
  void commit(const std::string& file, const std::string& text, const std::string& message = "A commit") {
    write_file(work / file, text);
    sh(work, "git add -A && git commit -qm '" + message + "'");
  }
  std::string head() { return sh(work, "git rev-parse HEAD"); }
  std::string at_remote(const std::string& branch = "task/one") {
    return sh(remote, "git rev-parse -q --verify refs/heads/" + branch + " || true");
  }
  void hook(const std::string& script) {
    write_file(remote / "hooks/pre-receive", "#!/bin/sh\n" + script);
    sh(remote, "chmod +x hooks/pre-receive");
  }
  void unhook() { std::filesystem::remove(remote / "hooks/pre-receive"); }
  // Nothing of a push stays behind, and nothing of the work was touched.
  void check_clean() {
    CHECK(leftovers() == 0);
    CHECK(eventually([&] { return std::filesystem::is_empty(data / task_folder); }));
    const auto mirror = git::mirror_folder(data, "acme", "widgets");
    CHECK(sh(mirror, "git for-each-ref refs/troupe").empty());
    CHECK(sh(mirror, "git fsck --full --connectivity-only 2>&1 | grep -v dangling; true").empty());
  }
  // The push that failed goes through once `put_right` has run.
  void check_retry(const std::function<void()>& put_right) {
    check_clean();
    put_right();
    CHECK(push()->result()["commit"] == head());
    CHECK(at_remote() == head());
    check_clean();
  }
};

}  // namespace

TEST_CASE("a push brings the branch to the remote, and a second one finds it there") {
  push_stage s;
  s.commit("a.txt", "a\n");
  write_file(s.work / "later.txt", "not committed\n");
  const auto first = s.push()->result();
  CHECK(first["commit"] == s.head());
  CHECK(first["branch"] == "task/one");
  CHECK(first["created"] == true);
  CHECK(first["moved"] == true);
  CHECK(first["dirty"] == true);
  CHECK(s.at_remote() == s.head());
  CHECK(s.push()->result()["moved"] == false);
  s.commit("b.txt", "b\n");
  const auto more = s.push()->result();
  CHECK(more["created"] == false);
  CHECK(s.at_remote() == s.head());
  CHECK(sh(s.remote, "git show task/one:b.txt") == "b");
  s.check_clean();
}

TEST_CASE("a branch without a commit of its own is made at the remote, and an unborn one says what to do") {
  push_stage s;
  CHECK(s.push()->result()["created"] == true);
  CHECK(s.at_remote() == s.base);
  sh(s.work, "git checkout -q --orphan other && git branch -D task/one -q");
  const auto why = s.push()->trouble();
  CHECK(why.code == "nothing_to_push");
  CHECK(why.detail.find("commit something") != std::string::npos);
}

TEST_CASE("the remote's words reach the person, with its link to open a pull request") {
  push_stage s;
  s.commit("a.txt", "a\n");
  s.hook(
      "printf '\\033[31mWelcome\\033[0m\\a\\n\\nCreate a pull request:\\n  "
      "https://git.example.org/a/compare/x\\n' >&2\n");
  const auto done = s.push()->result();
  CHECK(done["words"] == "Welcome\nCreate a pull request:\n  https://git.example.org/a/compare/x");
  CHECK(done["link"] == "https://git.example.org/a/compare/x");
}

TEST_CASE("a protected branch refuses in the remote's words, nothing is lost, and a retry goes through") {
  push_stage s;
  s.commit("a.txt", "a\n");
  s.hook(
      "while read old new ref; do echo \"error: GH006: Protected branch update failed for $ref.\" >&2; "
      "done\nexit 1\n");
  const auto why = s.push()->trouble();
  CHECK(why.code == "protected_branch");
  CHECK(why.detail.find("GH006: Protected branch update failed for refs/heads/task/one.") !=
        std::string::npos);
  CHECK(why.detail.find("ask who keeps the repository") != std::string::npos);
  CHECK(s.at_remote().empty());
  s.check_retry([&] { s.unhook(); });
}

TEST_CASE("a huge file that the remote's hook does not take is named with what to do") {
  push_stage s;
  s.commit("huge.bin", std::string(3 << 20, 'x'));
  s.hook(
      "while read old new ref; do\n"
      "  git rev-list --objects $new --not --all | git cat-file --batch-check='%(objectsize) %(rest)' |\n"
      "  while read size name; do\n"
      "    if [ \"$size\" -gt 1048576 ]; then echo \"File $name is $size bytes; this exceeds the maximum of "
      "1 MiB\" >&2\n"
      "      exit 1; fi\n  done || exit 1\ndone\n");
  const auto why = s.push()->trouble();
  CHECK(why.code == "file_too_large");
  CHECK(why.detail.find("huge.bin") != std::string::npos);
  s.check_retry([&] {
    sh(s.work,
       "git rm -q huge.bin && echo small > small.txt && git add -A && git commit -q --amend -m small");
  });
}

TEST_CASE("another refusal of a hook is told in its words") {
  push_stage s;
  s.commit("a.txt", "a\n", "no ticket");
  s.hook("echo 'every commit names a ticket' >&2\nexit 1\n");
  const auto why = s.push()->trouble();
  CHECK(why.code == "push_rejected");
  CHECK(why.detail.find("every commit names a ticket") != std::string::npos);
  s.check_retry([&] { s.unhook(); });
}

TEST_CASE("what somebody else pushed to the branch is not overwritten, whether the mirror knows it or not") {
  push_stage s;
  s.commit("a.txt", "a\n");
  s.push()->result();
  sh(s.box.path(),
     "git clone -q -b task/one remote other && cd other && git commit -q --allow-empty -m theirs && "
     "git push -q origin task/one");
  const auto theirs = s.at_remote();
  s.commit("b.txt", "b\n");
  for (const bool known : {false, true}) {
    if (known) s.mirror();
    const auto why = s.push()->trouble();
    CHECK(why.code == "not_fast_forward");
    CHECK(why.detail.find("task.update_from_base") != std::string::npos);
    CHECK(s.at_remote() == theirs);
    s.check_clean();
  }
  s.check_retry([&] {
    sh(s.work, "git -c protocol.allow=always fetch -q '" + s.remote.string() +
                   "' task/one && git merge -q FETCH_HEAD");
  });
}

TEST_CASE("a remote that vanished is said to be gone, and a push goes through when it is back") {
  push_stage s;
  s.commit("a.txt", "a\n");
  const auto away = s.box.path() / "away";
  std::filesystem::rename(s.remote, away);
  CHECK(s.push()->trouble().code == "remote_not_found");
  std::filesystem::create_directories(s.remote);
  const auto why = s.push()->trouble();
  CHECK_MESSAGE(why.code == "remote_not_found", why.detail);
  std::filesystem::remove(s.remote);
  s.check_retry([&] { std::filesystem::rename(away, s.remote); });
}

TEST_CASE("a remote whose disk is full is told as that, and so is a server's") {
  push_stage s;
  s.commit("big.bin", sh(s.box.path(), "head -c 3000000 /dev/urandom | base64 -w0"));
  const auto full = s.box.path() / "full";
  std::filesystem::create_directories(full);
  if (::mount("tmpfs", full.c_str(), "tmpfs", 0, "size=1m") != 0) {
    std::puts("[skipped] a full disk needs a file system of one's own, which takes root");
    return;
  }
  struct unmounted {
    std::filesystem::path at;
    ~unmounted() { ::umount2(at.c_str(), MNT_DETACH); }
  } const later{full};
  const auto remote = s.remote;
  sh(s.box.path(), "git clone -q --bare seed full/remote");
  s.remote = full / "remote";
  const auto why = s.push()->trouble();
  CHECK_MESSAGE(why.code == "remote_full", why.detail);
  CHECK(why.detail.find("nothing was lost") != std::string::npos);
  s.remote = remote;
  s.check_clean();

  // The server's own: the folder of the task lies there.
  const auto home = s.data / task_folder;
  REQUIRE(::mount(full.c_str(), home.c_str(), nullptr, MS_BIND, nullptr) == 0);
  std::filesystem::remove_all(full / "remote");
  const auto own = s.push()->trouble();
  ::umount2(home.c_str(), MNT_DETACH);
  CHECK_MESSAGE(own.code == "disk_full", own.detail);
  s.check_retry([] {});
}

TEST_CASE("hooks of a path get nothing of the server's environment") {
  push_stage s;
  ::setenv("A_KEY_OF_THE_SERVER", "hunter2", 1);
  s.commit("a.txt", "a\n");
  s.hook("env >&2\n");
  const auto words = s.push()->result()["words"].get<std::string>();
  CHECK(words.find("PATH=") != std::string::npos);
  CHECK(words.find("hunter2") == std::string::npos);
}

TEST_CASE("a hook that never ends is ended with its push") {
  push_stage s;
  s.commit("a.txt", "a\n");
  const auto ready = s.box.path() / "ready";
  s.hook("echo $$ > '" + ready.string() + "'\nexec sleep 600\n");
  const auto pushing = s.push();
  REQUIRE(eventually([&] { return std::filesystem::exists(ready) && !read_file(ready).empty(); }));
  pushing->cancel();
  CHECK(pushing->trouble().code == "timeout");
  const auto pid = static_cast<pid_t>(std::stol(read_file(ready)));
  CHECK(eventually([&] { return !process_lives(pid); }));
  s.check_retry([&] { s.unhook(); });
}

TEST_CASE("a workspace that lies about its branch gets nothing else pushed") {
  push_stage s;
  s.commit("a.txt", "a\n");
  auto body = s.push_body();
  body["base"] = "--all";
  CHECK(s.effect("git.push", body)->trouble().code == "invalid");
  body = s.push_body();
  body["repository"] = "../x";
  CHECK(s.effect("git.push", body)->trouble().code == "invalid");
  body = s.push_body();
  body["branch"] = "nothing-there";
  CHECK(s.effect("git.push", body)->trouble().code == "nothing_to_push");
  CHECK(sh(s.remote, "git for-each-ref --format='%(refname)'") == "refs/heads/main");
}

TEST_CASE("refusals are known by the words of the remotes that people use") {
  const auto code = [](const char* reason, const char* words) {
    return git::push_refusal("pushing", "b", reason, words).why.code;
  };
  CHECK(code("protected branch hook declined", "") == "protected_branch");
  CHECK(code("pre-receive hook declined",
             "GitLab: You are not allowed to push code to protected branches on this "
             "project.") == "protected_branch");
  CHECK(code("push declined due to repository rule violations", "error: GH013: Repository rule violations") ==
        "protected_branch");
  CHECK(code("pre-receive hook declined", "error: GH001: Large files detected.") == "file_too_large");
  CHECK(code("unpacker error", "fatal: write error: No space left on device") == "remote_full");
  CHECK(code("non-fast-forward", "") == "not_fast_forward");
  CHECK(code("pre-receive hook declined", "no") == "push_rejected");
  CHECK(git::pull_request_link("See https://x.org/a and https://x.org/a/pull/new/b.") ==
        "https://x.org/a/pull/new/b.");
  CHECK(git::pull_request_link("See https://x.org/help").empty());
}

TEST_CASE(
    "a person's credential goes before the repository's, to its own host alone, and swaps with the owner") {
  stage s;
  s.secrets = {
      {"git_git.example.org_ada", "ada's"}, {"git_other.org_bob", "bob's"}, {"shared", "everybody's"}};
  const git::environment world{s.net.ex(), s.client, s.threads, s.data, {}, s.secrets_of()};
  const auto url = *git::parse_url("https://git.example.org/a.git", {});
  const auto of = [&](json body) {
    body["org"] = "acme";
    auto found = git::credential_of(world, body, url);
    return found ? found->secret : found.error().why.code;
  };
  CHECK(of({{"owner", "ada"}, {"credential", "shared"}}) == "ada's");
  CHECK(of({{"owner", "bob"}, {"credential", "shared"}}) == "everybody's");
  CHECK(of({{"owner", "bob"}}).empty());
  CHECK(of({{"credential", "git_other.org_bob"}}) == "invalid");
  CHECK(of({{"credential", "none"}}) == "invalid");
  CHECK(git::personal_credential("a_b", "c").empty());
}
