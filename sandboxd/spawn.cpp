#include "sandboxd/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace troupe::sandboxd {
namespace {

constexpr const char* shell = "/bin/sh";
constexpr const char* default_path = "/usr/local/bin:/usr/bin:/bin";

struct two_ends {
  descriptor read;
  descriptor write;
};

outcome<two_ends> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os_error{errno, "make a pipe"};
  return two_ends{descriptor(ends[0]), descriptor(ends[1])};
}

struct pty {
  descriptor master;
  descriptor slave;
};

outcome<pty> make_pty(std::uint16_t columns, std::uint16_t rows) {
  descriptor master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0)
    return os_error{errno, "open a terminal"};
  // By descriptor and not by name: /dev/pts of this mount namespace need not be the master's.
  descriptor slave(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave) return os_error{errno, "open the terminal's other end"};
  winsize size{};
  size.ws_col = columns;
  size.ws_row = rows;
  if (::ioctl(slave.get(), TIOCSWINSZ, &size) != 0) return os_error{errno, "set the terminal's size"};
  return pty{std::move(master), std::move(slave)};
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (auto& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

// What the child tells its parent through a close-on-exec pipe when it did not get as far as the program.
struct report {
  int step;
  int number;
};

enum step { step_session, step_streams, step_directory, step_exec };

const char* step_name(int step) {
  switch (step) {
    case step_session:
      return "make a session";
    case step_streams:
      return "connect the standard streams";
    case step_directory:
      return "enter the folder";
    default:
      return "start";
  }
}

struct child_side {
  int standard[3];
  int report_to;
  int directory;
  bool terminal;
  bool ends_with_parent;
  const char* path;
  char** arguments;
  char** shell_arguments;
  char** environment;
};

// Between vfork and exec, in the memory of the parent, who waits: only what is async-signal-safe, no
// allocation, and nothing written but its own variables.
[[noreturn, gnu::noinline]] void become(const child_side& c) {
  auto fail = [&](int step) {
    report r{step, errno};
    [[maybe_unused]] auto n = ::write(c.report_to, &r, sizeof r);
    ::_exit(127);
  };
  if (::setsid() < 0) fail(step_session);
  if (c.ends_with_parent) ::prctl(PR_SET_PDEATHSIG, SIGKILL);

  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int s = 1; s < NSIG; ++s) ::sigaction(s, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  if (c.directory >= 0 && ::fchdir(c.directory) != 0) fail(step_directory);

  // Away from 0, 1 and 2 first, so that no dup2 overwrites an end that is still needed.
  int high[3];
  for (int i = 0; i < 3; ++i) {
    high[i] = ::fcntl(c.standard[i], F_DUPFD_CLOEXEC, 10);
    if (high[i] < 0) fail(step_streams);
  }
  int report_to = ::fcntl(c.report_to, F_DUPFD_CLOEXEC, 10);
  if (report_to < 0) fail(step_streams);
  for (int i = 0; i < 3; ++i)
    if (::dup2(high[i], i) < 0) fail(step_streams);
  if (c.terminal && ::ioctl(0, TIOCSCTTY, 0) != 0) fail(step_session);
  ::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);

  ::execve(c.path, c.arguments, c.environment);
  if (errno == ENOEXEC) ::execve(shell, c.shell_arguments, c.environment);
  report r{step_exec, errno};
  [[maybe_unused]] auto n = ::write(report_to, &r, sizeof r);
  ::_exit(127);
}

}  // namespace

outcome<child> start_program(const program& what) {
  child out;
  descriptor standard[3];
  if (what.terminal) {
    auto made = make_pty(what.columns, what.rows);
    if (!made) return made.error();
    out.terminal = std::move(made->master);
    for (auto& s : standard) {
      s.reset(::fcntl(made->slave.get(), F_DUPFD_CLOEXEC, 3));
      if (!s) return os_error{errno, "open the terminal's other end"};
    }
  } else {
    auto in = make_pipe();
    if (!in) return in.error();
    auto text = make_pipe();
    if (!text) return text.error();
    auto errors = make_pipe();
    if (!errors) return errors.error();
    out.input = std::move(in->write);
    standard[0] = std::move(in->read);
    out.output = std::move(text->read);
    standard[1] = std::move(text->write);
    out.error = std::move(errors->read);
    standard[2] = std::move(errors->write);
  }
  auto reports = make_pipe();
  if (!reports) return reports.error();

  auto arguments = pointers(what.arguments);
  auto environment = pointers(what.environment);
  std::vector<std::string> script{shell, what.path};
  for (std::size_t i = 1; i < what.arguments.size(); ++i) script.push_back(what.arguments[i]);
  auto script_arguments = pointers(script);
  child_side side{{standard[0].get(), standard[1].get(), standard[2].get()},
                  reports->write.get(),
                  what.directory,
                  what.terminal,
                  what.ends_with_parent,
                  what.path.c_str(),
                  arguments.data(),
                  script_arguments.data(),
                  environment.data()};

  // No handler of ours may run in the child before it has reset them.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  // Copying the tables of our pages for each child would take longer than all else here.
  pid_t pid = ::vfork();
  int fork_error = errno;
  if (pid == 0) become(side);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return os_error{fork_error, "make a process for " + what.path};

  reports->write.reset();
  report r{};
  ssize_t n;
  do n = ::read(reports->read.get(), &r, sizeof r);
  while (n < 0 && errno == EINTR);
  if (n == static_cast<ssize_t>(sizeof r)) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return os_error{r.number, std::string(step_name(r.step)) + " " + what.path};
  }
  out.pid = pid;
  for (auto* d : {&out.input, &out.output, &out.error, &out.terminal})
    if (*d) ::fcntl(d->get(), F_SETFL, ::fcntl(d->get(), F_GETFL) | O_NONBLOCK);
  return out;
}

outcome<std::string> find_in_path(const std::string& name, const std::string& path_variable, int directory) {
  int worst = ENOENT;
  auto usable = [&](const std::string& candidate) {
    struct stat st {};
    if (::fstatat(directory, candidate.c_str(), &st, 0) != 0) {
      if (errno == EACCES) worst = EACCES;
      return false;
    }
    if (S_ISREG(st.st_mode) && ::faccessat(directory, candidate.c_str(), X_OK, AT_EACCESS) == 0) return true;
    worst = EACCES;
    return false;
  };
  std::string tried = "find the program " + name;
  if (name.empty()) return os_error{ENOENT, tried};
  if (name.find('/') != std::string::npos) {
    if (usable(name)) return name;
    return os_error{worst, tried};
  }
  const std::string& all = path_variable.empty() ? std::string(default_path) : path_variable;
  for (std::size_t at = 0; at <= all.size();) {
    auto end = std::min(all.find(':', at), all.size());
    auto folder = all.substr(at, end - at);
    at = end + 1;
    auto candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (usable(candidate)) return candidate;
  }
  return os_error{worst, tried + " in PATH"};
}

outcome<std::string> find_in_path(const std::string& name, const std::string& path_variable,
                                  const std::string& directory) {
  if (directory.empty()) return find_in_path(name, path_variable, AT_FDCWD);
  descriptor folder(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return os_error{errno, "enter the folder " + directory};
  return find_in_path(name, path_variable, folder.get());
}

}  // namespace troupe::sandboxd
