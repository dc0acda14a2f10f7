// Mirrors over ssh from a real sshd: keys from memory, host keys checked.
#include <arpa/inet.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <doctest/doctest.h>

#include "drivers/git/mirror.h"
#include "tests/drivers/agent_pipes.h"
#include "tests/drivers/git_kit.h"

using namespace troupe::drivers::git;
using namespace troupe::test;

namespace {

constexpr auto sshd_program = "/usr/sbin/sshd";

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
    std::error_code ec;
    std::filesystem::create_directories("/run/sshd",
                                        ec);  // what the service's start makes; root's sshd wants it
    pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const auto config = dir + "/config", log = dir + "/log";
      ::execl(sshd_program, sshd_program, "-D", "-f", config.c_str(), "-E", log.c_str(), nullptr);
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

TEST_CASE("a mirror comes over ssh with a key from memory, and only from a host whose key is known") {
  if (::access(sshd_program, X_OK) != 0) {
    std::puts("[skipped] there is no sshd on this machine (package openssh-server)");
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
  CHECK(probe(*url, stranger).error().why.detail.find("was refused") != std::string::npos);
}
