// URLs, mirrors and bundles against real repositories.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include <doctest/doctest.h>

#include "drivers/git/bundle.h"
#include "drivers/git/changes.h"
#include "drivers/git/mirror.h"
#include "tests/drivers/agent_pipes.h"
#include "tests/drivers/git_kit.h"

using namespace troupe::drivers;
using namespace troupe::drivers::git;
using namespace troupe::test;

namespace {

repository_url url_of(const std::filesystem::path& path) {
  start_libgit2();
  auto url = parse_url(path.string(), {path.parent_path()});
  REQUIRE(url);
  return *url;
}

std::string refusal_of(std::string_view text, std::vector<std::filesystem::path> roots = {}) {
  auto url = parse_url(text, roots);
  return url ? "" : url.error().why.detail;
}

// Accepts connections and never says a word.
struct silent_server {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int port = 0;
  silent_server() {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof any;
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&any), size) == 0);
    REQUIRE(::listen(fd, 8) == 0);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size);
    port = ntohs(any.sin_port);
  }
  ~silent_server() { ::close(fd); }
};

}  // namespace

TEST_CASE("URLs that could run a program, read a file or show a password are refused with a reason") {
  for (const auto* text :
       {"", "-oProxyCommand=x", "--upload-pack=x", "ext::sh -c touch% x", "fd::17", "relative/path",
        "git://example.org/x", "ftp://example.org/x", "https://user:secret@example.org/x",
        "ssh://-oProxyCommand=x/y", "https:///nohost", "https://example.org/a b", "host:", "/etc/passwd",
        "file:///etc/passwd", "file://host/path"}) {
    CHECK_MESSAGE(!refusal_of(text).empty(), text);
  }
  CHECK(refusal_of("https://user:hunter2@example.org/x").find("secret") != std::string::npos);
}

TEST_CASE("https, ssh and scp-like URLs are taken as they are") {
  for (const auto* text :
       {"https://example.org/a/b.git", "ssh://git@example.org:2222/a", "git@example.org:a/b.git"}) {
    auto url = parse_url(text, {});
    REQUIRE_MESSAGE(url, text);
    CHECK(url->text == text);
    CHECK(url->host == "example.org");
  }
}

TEST_CASE("a path is taken only below a root, and no link leads out") {
  scratch_folder box;
  std::filesystem::create_directories(box.path() / "in/repo");
  std::filesystem::create_directories(box.path() / "out");
  std::filesystem::create_symlink(box.path() / "out", box.path() / "in/link");
  const std::vector<std::filesystem::path> roots = {box.path() / "in"};
  CHECK(parse_url((box.path() / "in/repo").string(), roots));
  CHECK(parse_url("file://" + (box.path() / "in/repo").string(), roots));
  CHECK_FALSE(parse_url((box.path() / "in/link").string(), roots));
  CHECK_FALSE(parse_url((box.path() / "in/../out").string(), roots));
  CHECK_FALSE(parse_url((box.path() / "inside").string(), roots));
  CHECK_FALSE(parse_url((box.path() / "in/none").string(), roots));
}

TEST_CASE("a probe tells the default branch, also of an empty and of a detached repository") {
  scratch_folder box;
  job with;
  make_repository(box.path() / "a");
  sh(box.path() / "a", "git checkout -qb trunk && git branch -D main -q");
  auto facts = probe(url_of(box.path() / "a"), with);
  REQUIRE(facts);
  CHECK(facts->default_branch == "trunk");
  CHECK_FALSE(facts->empty);
  sh(box.path() / "a", "git checkout -q --detach");
  CHECK(probe(url_of(box.path() / "a"), with)->default_branch == "trunk");
  sh(box.path(), "git init -q --bare empty");
  CHECK(probe(url_of(box.path() / "empty"), with)->empty);
}

TEST_CASE("what is no repository fails in words") {
  scratch_folder box;
  std::filesystem::create_directories(box.path() / "plain");
  job with;
  auto facts = probe(url_of(box.path() / "plain"), with);
  REQUIRE_FALSE(facts);
  CHECK(facts.error().why.code == "remote_not_found");
  CHECK(facts.error().why.detail.find("plain") != std::string::npos);
}

TEST_CASE("a mirror has all branches and tags, follows the remote, and forgets what is gone there") {
  scratch_folder box;
  const auto repo = box.path() / "a", mirror = box.path() / "mirrors/a.git";
  make_repository(repo);
  sh(repo, "git branch old && git tag v1 && git tag -am 'two' v2");
  job with;
  auto facts = refresh_mirror(mirror, url_of(repo), with);
  REQUIRE(facts);
  CHECK(facts->branches == std::vector<std::string>{"main", "old"});
  CHECK(sh(mirror, "git for-each-ref --format='%(refname)'") ==
        "refs/heads/main\nrefs/heads/old\nrefs/tags/v1\nrefs/tags/v2");
  CHECK(sh(mirror, "git symbolic-ref HEAD") == "refs/heads/main");

  // Rewritten, added and deleted.
  sh(repo,
     "git branch -D old -q && git branch new && git commit -q --amend -m 'Begin again' && git tag -d v1");
  facts = refresh_mirror(mirror, url_of(repo), with);
  REQUIRE(facts);
  CHECK(sh(mirror, "git for-each-ref --format='%(refname)'") ==
        "refs/heads/main\nrefs/heads/new\nrefs/tags/v2");
  CHECK(sh(mirror, "git rev-parse main") == sh(repo, "git rev-parse main"));
  CHECK(sh(mirror, "git fsck --full 2>&1 | grep -v dangling; true").empty());
}

TEST_CASE("a mirror can be read by every user and a broken one is made anew") {
  scratch_folder box;
  const auto repo = box.path() / "a", mirror = box.path() / "mirrors/a.git";
  make_repository(repo);
  job with;
  const auto old = ::umask(077);
  REQUIRE(refresh_mirror(mirror, url_of(repo), with));
  ::umask(old);
  CHECK(sh(mirror, "find . -type f ! -perm -004; find . -type d ! -perm -005").empty());
  std::filesystem::remove(mirror / "HEAD");
  CHECK(refresh_mirror(mirror, url_of(repo), with));
  CHECK(sh(mirror, "git rev-parse main") == sh(repo, "git rev-parse main"));
}

TEST_CASE("a first mirroring that fails leaves nothing behind") {
  scratch_folder box;
  std::filesystem::create_directories(box.path() / "plain");
  job with;
  CHECK_FALSE(refresh_mirror(box.path() / "mirrors/a.git", url_of(box.path() / "plain"), with));
  CHECK(std::filesystem::is_empty(box.path() / "mirrors"));
}

TEST_CASE("a server that never answers holds nobody: ending the job ends the call") {
  silent_server server;
  for (const std::string scheme : {"http", "https", "ssh"}) {
    start_libgit2();
    auto url = parse_url(scheme + "://git@127.0.0.1:" + std::to_string(server.port) + "/x", {});
    REQUIRE(url);
    job with;
    int peer = -1;
    std::thread ender([&] {
      peer = ::accept(server.fd, nullptr, nullptr);  // the call has reached the server, which stays silent
      with.end();
    });
    const auto begin = std::chrono::steady_clock::now();
    auto facts = probe(*url, with);
    ender.join();
    ::close(peer);
    REQUIRE_FALSE(facts);
    CHECK(facts.error().why.code == "timeout");
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  }
}

TEST_CASE("a host that refuses is told with its address, and is worth another attempt") {
  int port;
  {
    silent_server gone;
    port = gone.port;
  }
  start_libgit2();
  auto url = parse_url("http://127.0.0.1:" + std::to_string(port) + "/x", {});
  job with;
  auto facts = probe(*url, with);
  REQUIRE_FALSE(facts);
  CHECK(facts.error().why.detail.find("Connection refused") != std::string::npos);
  CHECK(facts.error().again);
}

TEST_CASE("a bundle brings its commits into the mirror under the name it is given") {
  scratch_folder box;
  const auto repo = box.path() / "a", mirror = box.path() / "a.git", file = box.path() / "b.bundle";
  make_repository(repo);
  job with;
  REQUIRE(refresh_mirror(mirror, url_of(repo), with));
  const auto base = sh(repo, "git rev-parse HEAD");
  write_file(repo / "new.txt", "new\n");
  sh(repo, "git add -A && git commit -qm more && git update-ref refs/troupe/wip HEAD");
  sh(repo, "git bundle create -q --version=2 '" + file.string() + "' refs/troupe/wip ^" + base);
  const auto wip = sh(repo, "git rev-parse HEAD");
  auto header = verify_bundle(file);
  REQUIRE(header);
  CHECK(header->needs == std::vector<std::string>{base});
  CHECK(header->find("refs/troupe/wip") == wip);
  auto taken = fetch_bundle(mirror, file, "refs/troupe/wip", "refs/troupe/tasks/t1", with);
  REQUIRE_MESSAGE(taken, taken.error().why.detail);
  CHECK(*taken == wip);
  CHECK(sh(mirror, "git show refs/troupe/tasks/t1:new.txt") == "new");
}

TEST_CASE("a bundle that is cut, altered, or stands on what the mirror lacks changes nothing in it") {
  scratch_folder box;
  const auto repo = box.path() / "a", mirror = box.path() / "a.git", file = box.path() / "b.bundle";
  make_repository(repo);
  job with;
  REQUIRE(refresh_mirror(mirror, url_of(repo), with));
  const auto base = sh(repo, "git rev-parse HEAD");
  sh(repo,
     "git commit -q --allow-empty -m unseen && git tag unseen && git commit -q --allow-empty -m more && "
     "git update-ref refs/troupe/wip HEAD && git bundle create -q --version=2 '" +
         file.string() + "' refs/troupe/wip ^unseen");
  CHECK_FALSE(fetch_bundle(mirror, file, "refs/troupe/wip", "refs/troupe/x", with));
  sh(repo, "git bundle create -q --version=2 '" + file.string() + "' refs/troupe/wip ^" + base);
  const auto whole = read_file(file);
  write_file(file, whole.substr(0, whole.size() - 5));
  CHECK_FALSE(fetch_bundle(mirror, file, "refs/troupe/wip", "refs/troupe/x", with));
  auto altered = whole;
  altered[altered.size() - 30] = static_cast<char>(altered[altered.size() - 30] ^ 0x40);
  write_file(file, altered);
  CHECK_FALSE(fetch_bundle(mirror, file, "refs/troupe/wip", "refs/troupe/x", with));
  write_file(file, "# v2 git bundle\n-zzz\n\n");
  CHECK_FALSE(read_bundle(file));
  write_file(file, whole);
  CHECK_FALSE(fetch_bundle(mirror, file, "refs/heads/other", "refs/troupe/x", with));
  CHECK(sh(mirror, "git for-each-ref refs/troupe").empty());
  CHECK(fetch_bundle(mirror, file, "refs/troupe/wip", "refs/troupe/x", with));
}

TEST_CASE("a patch cut anywhere into pieces reads the same, and long files are cut with a mark") {
  const std::string raw = std::string(":100644 100644 1 2 M") + '\0' + "a.txt" + '\0' +
                          ":000000 100644 0 3 A" + '\0' + "big.txt" + '\0' + ":100644 100644 1 1 R100" +
                          '\0' + "old name" + '\0' + "new name" + '\0';
  const std::string numstat = std::string("1\t1\ta.txt") + '\0' + "9000\t0\tbig.txt" + '\0' + "0\t0\t" +
                              '\0' + "old name" + '\0' + "new name" + '\0';
  std::string patch = "diff --git a/a.txt b/a.txt\n@@ -1 +1 @@\n-x\n+diff --git looks like one\n";
  patch += "diff --git a/big.txt b/big.txt\n";
  for (int i = 0; i < 9000; ++i) patch += "+" + std::string(60, 'y') + "\n";
  patch += "diff --git a/old name b/new name\nsimilarity index 100%\n";
  nlohmann::json first;
  for (const std::size_t step : {1u, 7u, 4096u, 10'000'000u}) {
    patch_reader reader(read_changes(raw, numstat));
    for (std::size_t at = 0; at < patch.size(); at += step)
      reader.feed(std::string_view(patch).substr(at, step));
    reader.finish(true);
    auto result = diff_result(reader, {"big.txt"}, "", true);
    if (first.is_null()) first = result;
    CHECK(result == first);
  }
  CHECK(first["additions"] == 9001);
  CHECK(first["files"][0] == nlohmann::json({{"path", "a.txt"},
                                             {"status", "modified"},
                                             {"additions", 1},
                                             {"deletions", 1},
                                             {"binary", false},
                                             {"cut", false}}));
  CHECK(first["files"][1]["status"] == "untracked");
  CHECK(first["files"][1]["cut"] == true);
  CHECK(first["files"][2]["old_path"] == "old name");
  CHECK(first["diff"]["a.txt"].get<std::string>().find("+diff --git looks like one") != std::string::npos);
  CHECK(first["diff"]["big.txt"].get<std::string>().size() <= max_file_diff + 100);
  CHECK(first["diff"]["new name"].get<std::string>().find("similarity") != std::string::npos);
}
