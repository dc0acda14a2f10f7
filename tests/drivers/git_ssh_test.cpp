// Mirrors over ssh from a real sshd: keys from memory, host keys checked.
#include <arpa/inet.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <doctest/doctest.h>

#include "drivers/git/mirror.h"
#include "drivers/git/push.h"
#include "tests/drivers/agent_pipes.h"
#include "tests/drivers/git_kit.h"

using namespace troupe::drivers::git;
using namespace troupe::test;

namespace {

// Debian's if it is installed, else the one that script/bootstrap unpacked.
std::string sshd_program() {
  for (const std::string path : {"/usr/sbin/sshd", UNPACKED_SSHD "/usr/sbin/sshd"})
    if (::access(path.c_str(), X_OK) == 0) return path;
  return {};
}

// Root's sshd separates its privileges and wants a user of that name, which the package would make. It sees
// one in a mount namespace of its own.
bool show_sshd_user(const std::string& passwd) {
  return ::getpwnam("sshd") != nullptr || ::geteuid() != 0 ||
         (::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
          ::mount(passwd.c_str(), "/etc/passwd", nullptr, MS_BIND, nullptr) == 0);
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof any;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&any), size) == 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&any), &size);
  ::close(fd);
  return ntohs(any.sin_port);
}

bool listens(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool yes = ::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  ::close(fd);
  return yes;
}

// An sshd for the current user on a loopback port, with one host key and one key that may come in.
struct ssh_server {
  scratch_folder box;
  int port = free_port();
  pid_t pid = -1;

  ssh_server() {
    const auto dir = box.str();
    sh(box.path(),
       "ssh-keygen -q -t ecdsa -N '' -f host && ssh-keygen -q -t ecdsa -m PEM -N '' -f user && "
       "ssh-keygen -q -t ecdsa -m PEM -N '' -f stranger && cp user.pub authorized && chmod 600 authorized");
    write_file(box.path() / "config", "Port " + std::to_string(port) + "\nListenAddress 127.0.0.1\nHostKey " +
                                          dir + "/host\nAuthorizedKeysFile " + dir +
                                          "/authorized\nStrictModes no\nUsePAM no\n"
                                          "PasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n");
    write_file(
        box.path() / "passwd",
        read_file("/etc/passwd") + "sshd:x:65533:65534:for its privileges:/run/sshd:/usr/sbin/nologin\n");
    std::error_code ec;
    std::filesystem::create_directories("/run/sshd",
                                        ec);  // what the service's start makes; root's sshd wants it
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const auto config = dir + "/config", log = dir + "/log", program = sshd_program();
      ::setenv("LD_LIBRARY_PATH", UNPACKED_SSHD "/usr/lib/" MULTIARCH, 1);
      if (!show_sshd_user(dir + "/passwd")) ::_exit(126);
      ::execl(program.c_str(), program.c_str(), "-D", "-f", config.c_str(), "-E", log.c_str(), nullptr);
      ::_exit(127);
    }
    REQUIRE(eventually([&] { return listens(port); }));
  }
  ~ssh_server() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  std::string known_hosts_line() const {
    auto key = read_file(box.path() / "host.pub");
    return "[127.0.0.1]:" + std::to_string(port) + " " + key;
  }
};

}  // namespace

TEST_CASE("mirrors and pushes go over ssh with a key from memory, and only to a host whose key is known") {
  if (sshd_program().empty()) {
    std::puts("[skipped] there is no sshd on this machine: script/bootstrap unpacks one");
    return;
  }
  ssh_server server;
  scratch_folder home;
  ::setenv("HOME", home.str().c_str(), 1);  // before libgit2 starts: it looks for known_hosts there
  start_libgit2();
  make_repository(server.box.path() / "repo");
  const auto* me = ::getpwuid(::geteuid());
  REQUIRE(me != nullptr);
  auto url = troupe::drivers::git::parse_url("ssh://" + std::string(me->pw_name) +
                                                 "@127.0.0.1:" + std::to_string(server.port) +
                                                 (server.box.path() / "repo").string(),
                                             {});
  REQUIRE(url);
  const credential key{read_file(server.box.path() / "user")};
  const auto mirror = home.path() / "m.git";

  job unknown(key);
  auto refused = refresh_mirror(mirror, *url, unknown);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().why.detail.find("known_hosts") != std::string::npos);

  write_file(home.path() / ".ssh/known_hosts", server.known_hosts_line());
  job with(key);
  auto facts = refresh_mirror(mirror, *url, with);
  REQUIRE_MESSAGE(facts, facts.error().why.detail);
  CHECK(facts->default_branch == "main");
  CHECK(sh(mirror, "git rev-parse main") == sh(server.box.path() / "repo", "git rev-parse main"));

  job without;
  CHECK(probe(*url, without).error().why.detail.find("asks for a credential") != std::string::npos);
  job stranger(credential{read_file(server.box.path() / "stranger")});
  CHECK(probe(*url, stranger).error().why.code == "credential_refused");

  // A push to a bare one.
  sh(server.box.path(), "git clone -q --bare repo bare.git");
  const auto bare = server.box.path() / "bare.git";
  auto to = parse_url(url->text.substr(0, url->text.size() - 4) + "bare.git", {});
  REQUIRE(to);
  const auto commit = sh(mirror,
                         "c=$(git commit-tree -p main -m more main^{tree}) && git update-ref "
                         "refs/troupe/push/x $c && echo $c");
  const auto push = [&](const credential& by) {
    job one(by);
    return push_branch(mirror, *to, "refs/troupe/push/x", "task/one", one);
  };
  CHECK(push({read_file(server.box.path() / "stranger"), ""}).error().why.code == "credential_refused");
  write_file(bare / "hooks/pre-receive", "#!/bin/sh\necho 'GH006: Protected branch' >&2\nexit 1\n");
  sh(bare, "chmod +x hooks/pre-receive");
  const auto no = push(key);
  REQUIRE_FALSE(no);
  CHECK(no.error().why.code == "protected_branch");
  CHECK(no.error().why.detail.find("GH006: Protected branch") != std::string::npos);
  std::filesystem::remove(bare / "hooks/pre-receive");
  const auto yes = push(key);
  REQUIRE_MESSAGE(yes, yes.error().why.detail);
  CHECK(sh(bare, "git rev-parse task/one") == commit);
  sh(mirror, "git update-ref refs/troupe/push/x $(git commit-tree -p main -m other main^{tree})");
  CHECK(push(key).error().why.code == "not_fast_forward");
  std::filesystem::rename(bare, server.box.path() / "away.git");
  const auto gone = push(key);
  REQUIRE_FALSE(gone);
  CHECK_MESSAGE(gone.error().why.code == "remote_not_found", gone.error().why.detail);
}
