// Mirrors and pushes over https from git's own server behind TLS, with a certificate of the test's making.
#include <csignal>
#include <cstdio>

#include <doctest/doctest.h>

#include "drivers/git/mirror.h"
#include "drivers/git/push.h"
#include "tests/drivers/agent_pipes.h"
#include "tests/drivers/git_kit.h"

using namespace troupe::drivers;
using namespace troupe::drivers::git;
using namespace troupe::test;

namespace {

// `git http-backend` for the repositories of its folder; one is there, remote.git.
struct https_server {
  scratch_folder box;
  std::FILE* program = nullptr;
  int port = 0;

  https_server() {
    make_repository(box.path() / "seed");
    sh(box.path(),
       "git clone -q --bare seed remote.git && openssl req -x509 -newkey ec -pkeyopt "
       "ec_paramgen_curve:prime256v1 "
       "-nodes -keyout key.pem -out ca.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost "
       "2>/dev/null");
    start_libgit2((box.path() / "ca.pem").string());
    // Its standard input is this process's pipe, so that it ends with the test.
    const auto dir = box.str();
    port_file = box.path() / "port";
    program = ::popen(("exec node '" GIT_HTTPS "' '" + dir + "' '" + dir + "/ca.pem' '" + dir +
                       "/key.pem' >'" + port_file.string() + "' 2>'" + dir + "/log'")
                          .c_str(),
                      "we");
    REQUIRE(program != nullptr);
    REQUIRE_MESSAGE(eventually([&] { return read_file(port_file).ends_with('\n'); }),
                    read_file(box.path() / "log"));
    port = std::stoi(read_file(port_file));
  }
  ~https_server() {
    if (program != nullptr) ::pclose(program);
  }
  repository_url url(const std::string& host = "localhost", const std::string& path = "/remote.git") const {
    auto parsed = parse_url("https://" + host + ":" + std::to_string(port) + path, {});
    REQUIRE(parsed);
    return *parsed;
  }
  std::string at_remote(const std::string& branch) const {
    return sh(box.path() / "remote.git", "git rev-parse -q --verify refs/heads/" + branch + " || true");
  }

  std::filesystem::path port_file;
};

// A commit on main that the mirror alone has; its id.
std::string new_commit(const std::filesystem::path& mirror, const std::string& message) {
  return sh(mirror, "c=$(git commit-tree -p main -m '" + message +
                        "' main^{tree}) && git update-ref refs/troupe/push/x $c && echo $c");
}

template <class T>
std::string code_of(const attempt<T>& outcome) {
  return outcome ? "" : outcome.error().why.code;
}

}  // namespace

TEST_CASE("over https: a push with the right token, and in words every other one") {
  if (std::system("command -v node >/dev/null && command -v openssl >/dev/null") != 0) {
    std::puts("[skipped] there is no node or openssl on this machine");
    return;
  }
  https_server server;
  scratch_folder home;
  const auto mirror = home.path() / "m.git";
  const auto url = server.url();
  const credential writer{"writer", "the secret `github`"}, reader{"reader", "the secret `old`"};

  job none;
  CHECK(code_of(probe(url, none)) == "credential_missing");
  job wrong(credential{"expired", "the secret `git_localhost_ada` of ada"});
  const auto expired = probe(url, wrong);
  CHECK(code_of(expired) == "credential_refused");
  CHECK(expired.error().why.detail.find("git_localhost_ada") != std::string::npos);
  CHECK(expired.error().why.detail.find("expired, or lack") != std::string::npos);

  job reading(reader);
  auto facts = refresh_mirror(mirror, url, reading);
  REQUIRE_MESSAGE(facts, facts.error().why.detail);
  const auto commit = new_commit(mirror, "over https");
  const auto push = [&](const credential& with, const repository_url& to) {
    job one(with);
    return push_branch(mirror, to, "refs/troupe/push/x", "task/one", one);
  };
  CHECK(code_of(push(reader, url)) == "credential_refused");
  CHECK(code_of(push(credential{"expired", ""}, url)) == "credential_refused");
  CHECK(code_of(push(credential{}, url)) == "credential_missing");
  CHECK(code_of(push(writer, server.url("localhost", "/gone.git"))) == "remote_not_found");
  CHECK(code_of(push(writer, server.url("127.0.0.1"))) == "host_unverified");
  CHECK(server.at_remote("task/one").empty());

  auto pushed = push(writer, url);
  REQUIRE_MESSAGE(pushed, pushed.error().why.detail);
  CHECK(pushed->created);
  CHECK(server.at_remote("task/one") == commit);

  // Another line of work than the one that is there.
  new_commit(mirror, "another");
  CHECK(code_of(push(writer, url)) == "not_fast_forward");
  CHECK(server.at_remote("task/one") == commit);

  write_file(server.box.path() / "remote.git/hooks/pre-receive",
             "#!/bin/sh\necho 'GitLab: You are not allowed to push code to protected branches on this "
             "project.' >&2\nexit 1\n");
  sh(server.box.path(), "chmod +x remote.git/hooks/pre-receive");
  sh(mirror, "git update-ref refs/troupe/push/x $(git commit-tree -p " + commit + " -m more main^{tree})");
  const auto refused = push(writer, url);
  CHECK(code_of(refused) == "protected_branch");
  CHECK(refused.error().why.detail.find("GitLab: You are not allowed") != std::string::npos);
  for (const auto& outcome : {refused, push(reader, url)})
    CHECK(outcome.error().why.detail.find("writer") == std::string::npos);
}
