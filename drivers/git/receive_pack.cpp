#include "drivers/git/receive_pack.h"

#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <git2/sys/transport.h>

#include "drivers/git/job.h"

namespace troupe::drivers::git {
namespace {

constexpr std::size_t max_complaint = 4096;  // bytes of the program's own stderr in an error

int fail_with(const std::string& what) {
  git_error_set_str(GIT_ERROR_REPOSITORY, what.c_str());
  return -1;
}

// The program, its socket (both its standard input and output) and what it complains about.
class receiving {
 public:
  ~receiving() { stop(); }

  int start(const std::string& path) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      return fail_with(std::string("making a socket: ") + std::strerror(errno));
    complaints_ = ::memfd_create("receive-pack", MFD_CLOEXEC);
    const int rc = spawn(path, ends[1]);
    ::close(ends[1]);
    socket_ = ends[0];
    if (rc != 0) {
      pid_ = -1;
      return fail_with(std::string("starting git receive-pack: ") + std::strerror(rc));
    }
    if (job::current() != nullptr && !job::current()->adopt(socket_))
      return fail_with("the operation was ended");
    return 0;
  }

  void stop() {
    if (socket_ >= 0) {
      if (job::current() != nullptr) job::current()->release(socket_);
      ::close(socket_);
    }
    if (pid_ > 0) {
      ::kill(-pid_, SIGKILL);  // it and its hooks: what it had to say has been read
      while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    if (complaints_ >= 0) ::close(complaints_);
    socket_ = pid_ = complaints_ = -1;
  }

  int read(char* into, std::size_t size, std::size_t* got) {
    for (;;) {
      const auto n = ::recv(socket_, into, size, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_with(std::string("receiving from git receive-pack: ") + std::strerror(errno));
      if (n == 0) return fail_with("git receive-pack ended" + complaint());
      *got = static_cast<std::size_t>(n);
      return 0;
    }
  }

  int write(const char* bytes, std::size_t size) {
    while (size > 0) {
      const auto n = ::send(socket_, bytes, size, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0)
        return fail_with(std::string("sending to git receive-pack: ") + std::strerror(errno) + complaint());
      bytes += n;
      size -= static_cast<std::size_t>(n);
    }
    return 0;
  }

 private:
  int spawn(const std::string& path, int socket) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, socket, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, socket, STDOUT_FILENO);
    if (complaints_ >= 0) posix_spawn_file_actions_adddup2(&files, complaints_, STDERR_FILENO);
    posix_spawnattr_t how;
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    // The server's own environment holds keys; hooks get nothing of it but a home.
    const char* home = std::getenv("HOME");
    std::string variables[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8",
                               std::string("HOME=") + (home != nullptr ? home : "/nonexistent")};
    std::vector<char*> environment;
    for (auto& one : variables) environment.push_back(one.data());
    environment.push_back(nullptr);
    std::string program = "git", verb = "receive-pack", where = path;
    char* arguments[] = {program.data(), verb.data(), where.data(), nullptr};
    const int rc = ::posix_spawnp(&pid_, "git", &files, &how, arguments, environment.data());
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return rc;
  }

  std::string complaint() const {
    std::string text(max_complaint, '\0');
    const auto n = complaints_ < 0 ? 0 : ::pread(complaints_, text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    while (text.ends_with('\n')) text.pop_back();
    return text.empty() ? text : ": " + text;
  }

  pid_t pid_ = -1;
  int socket_ = -1, complaints_ = -1;
};

struct subtransport;

// libgit2 finds its object again by its first member.
struct stream {
  git_smart_subtransport_stream parent{};
  receiving program;
};

struct subtransport {
  git_smart_subtransport parent{};
  stream* open = nullptr;  // libgit2's, who frees it
};

subtransport& of(git_smart_subtransport* at) {
  return *reinterpret_cast<subtransport*>(at);
}
stream& of(git_smart_subtransport_stream* at) {
  return *reinterpret_cast<stream*>(at);
}

int begin(git_smart_subtransport_stream** out, git_smart_subtransport* at, const char* url,
          git_smart_service_t service) {
  auto& self = of(at);
  if (service == GIT_SERVICE_RECEIVEPACK && self.open != nullptr) {
    *out = &self.open->parent;
    return 0;
  }
  // At its end libgit2 asks for another service to say goodbye; an error said here would hide the one before.
  if (service != GIT_SERVICE_RECEIVEPACK_LS) return -1;
  auto made = std::make_unique<stream>();
  made->parent.subtransport = at;
  made->parent.read = [](git_smart_subtransport_stream* s, char* into, std::size_t size, std::size_t* got) {
    return of(s).program.read(into, size, got);
  };
  made->parent.write = [](git_smart_subtransport_stream* s, const char* bytes, std::size_t size) {
    return of(s).program.write(bytes, size);
  };
  made->parent.free = [](git_smart_subtransport_stream* s) {
    of(s->subtransport).open = nullptr;
    delete &of(s);
  };
  if (const int code = made->program.start(url); code < 0) return code;
  self.open = made.release();
  *out = &self.open->parent;
  return 0;
}

int make_subtransport(git_smart_subtransport** out, git_transport*, void*) {
  auto made = std::make_unique<subtransport>();
  made->parent.action = begin;
  made->parent.close = [](git_smart_subtransport* at) {
    if (of(at).open != nullptr) of(at).open->program.stop();
    return 0;
  };
  made->parent.free = [](git_smart_subtransport* at) { delete &of(at); };
  *out = &made.release()->parent;
  return 0;
}

}  // namespace

int receive_pack_transport(git_transport** out, git_remote* owner, void*) {
  git_smart_subtransport_definition ours{make_subtransport, 0, nullptr};
  return git_transport_smart(out, owner, &ours);
}

}  // namespace troupe::drivers::git
