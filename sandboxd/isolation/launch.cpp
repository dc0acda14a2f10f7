#include "sandboxd/isolation/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "sandboxd/isolation/bwrap.h"
#include "sandboxd/isolation/control.h"
#include "sandboxd/isolation/descendants.h"
#include "sandboxd/isolation/seccomp.h"
#include "sandboxd/isolation/shepherd.h"
#include "sandboxd/isolation/staging.h"

namespace troupe::sandboxd {
namespace {

using nlohmann::json;
using clock = std::chrono::steady_clock;

constexpr const char* bubblewrap = "/usr/bin/bwrap";
constexpr std::size_t capture_bytes = 1 << 20;
constexpr std::size_t complaint_bytes = 4096;

// Where bwrap finds what it inherits.
constexpr int control_at = 3, seccomp_at = 4, info_at = 5, first_file_at = 6;

struct two {
  descriptor read, write;
};

outcome<two> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) < 0) return os_error{errno, "make a pipe"};
  return two{descriptor{fds[0]}, descriptor{fds[1]}};
}

outcome<descriptor> memory_file(const std::string& text) {
  descriptor fd{::memfd_create("etc", MFD_CLOEXEC)};
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::lseek(fd.get(), 0, SEEK_SET) < 0)
    return os_error{errno, "make up a file of /etc"};
  return fd;
}

outcome<done> make_folder(const std::filesystem::path& path, std::uint32_t uid, std::uint32_t gid) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    if (::chown(path.c_str(), uid, gid) < 0)
      return os_error{errno, "give " + path.string() + " to the sandbox's uid"};
    return done{};
  }
  struct stat info {};
  if (errno != EEXIST || ::lstat(path.c_str(), &info) < 0) return os_error{errno, "make " + path.string()};
  if (!S_ISDIR(info.st_mode) || info.st_uid != uid)
    return os_error{EEXIST,
                    path.string() + " is there but is no folder of the sandbox's uid " + std::to_string(uid)};
  return done{};
}

// Tells the parent what failed and ends the child.
[[noreturn]] void give_up(int to, const os_error& e) {
  const auto text =
      json{{"errno", e.number}, {"text", e.text}}.dump(-1, ' ', false, json::error_handler_t::replace);
  [[maybe_unused]] auto n = ::write(to, text.data(), text.size());
  ::_exit(126);
}

struct inheritance {
  int control = -1;  // -1: none
  int seccomp = -1;
  int info = -1;
  std::vector<int> files;
  int output = -1;  // standard output; -1: nothing
  int errors = -1;
};

// Puts the descriptors where the plan says, the rest is closed. Moved high first, so that none overwrites
// another.
bool arrange(const inheritance& in) {
  std::vector<std::pair<int, int>> wanted = {{in.seccomp, seccomp_at}, {in.info, info_at}, {in.errors, 2}};
  if (in.control >= 0) wanted.emplace_back(in.control, control_at);
  if (in.output >= 0) wanted.emplace_back(in.output, 1);
  for (std::size_t i = 0; i < in.files.size(); ++i)
    wanted.emplace_back(in.files[i], first_file_at + static_cast<int>(i));
  for (auto& [from, to] : wanted)
    if ((from = ::fcntl(from, F_DUPFD_CLOEXEC, 32)) < 0) return false;
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return false;
  ::dup2(null, 0);
  if (in.output < 0) ::dup2(null, 1);
  for (const auto& [from, to] : wanted)
    if (::dup2(from, to) < 0) return false;
  if (in.control < 0) ::close(control_at);
  ::syscall(SYS_close_range, first_file_at + static_cast<unsigned>(in.files.size()), ~0u, 0u);
  return true;
}

struct started {
  pid_t pid = 0;
  descriptor trouble;  // what the child could not do, before bwrap
  descriptor info;
  descriptor complaints;  // what bwrap wrote to its standard error
};

outcome<started> start(const sandbox_spec& spec, const cgroups& groups, std::vector<std::string> command,
                       int control, int output) {
  const bool own_uid = spec.level == tier::namespaces_and_uid;
  bwrap_plan plan;
  plan.host_uid = own_uid ? spec.uid : ::geteuid();
  plan.host_gid = own_uid ? spec.gid : ::getegid();
  if (own_uid && ::geteuid() != 0)
    return os_error{EPERM, "the tier namespaces+uid needs root: only root can give a sandbox its own uid"};

  for (const auto& folder : {spec.work(), spec.home()})
    if (auto made = make_folder(folder, plan.host_uid, plan.host_gid); !made) return made.error();
  plan_in_place(spec, own_program().string(), plan);
  plan_system(plan);

  const std::pair<const char*, const char*> made_up[] = {
      {"root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:/home/agent:/bin/sh\n"
       "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
       "/etc/passwd"},
      {"root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n", "/etc/group"},
      {"127.0.0.1 localhost sandbox\n::1 localhost\n", "/etc/hosts"},
      {"", "/etc/resolv.conf"},
      {"passwd: files\ngroup: files\nhosts: files dns\n", "/etc/nsswitch.conf"},
  };
  std::vector<descriptor> files;
  for (const auto& [text, at] : made_up) {
    auto file = memory_file(text);
    if (!file) return file.error();
    plan.files.emplace_back(first_file_at + static_cast<int>(files.size()), at);
    files.push_back(std::move(file).value());
  }
  auto filter = compile_seccomp({spec.allow_ptrace});
  if (!filter) return filter.error();
  plan.seccomp_fd = seccomp_at;
  plan.info_fd = info_at;
  plan.control_fd = control >= 0 ? control_at : -1;
  if (spec.limits.memory_bytes)
    plan.shared_memory_bytes = std::clamp<std::uint64_t>(spec.limits.memory_bytes / 2, 16 << 20, 1 << 30);
  plan.command = std::move(command);
  // Refused before anything runs; the child makes its own from the staged paths.
  if (auto checked = bwrap_arguments(plan); auto* why = std::get_if<std::string>(&checked))
    return os_error{EPERM, *why};

  auto trouble = make_pipe();
  auto info = make_pipe();
  auto complaints = make_pipe();
  if (!trouble || !info || !complaints) return os_error{errno, "make a pipe"};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return os_error{errno, "start bubblewrap: fork"};
  if (pid == 0) {
    const int tell = trouble->write.get();
    ::umask(022);  // folders that bubblewrap makes inside are for everyone there
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    for (const auto& entrance : groups.entrances()) {
      descriptor file{::open(entrance.c_str(), O_WRONLY | O_CLOEXEC)};
      if (!file || ::write(file.get(), "0", 1) != 1)
        give_up(tell, {errno, "join the control group " + entrance.string()});
    }
    if (own_uid) {
      if (auto staged = stage_mounts(spec, plan); !staged) give_up(tell, staged.error());
      if (::setgroups(0, nullptr) < 0 || ::setresgid(spec.gid, spec.gid, spec.gid) < 0 ||
          ::setresuid(spec.uid, spec.uid, spec.uid) < 0)
        give_up(tell, {errno, "become the uid " + std::to_string(spec.uid)});
    } else if (auto staged = stage_overlay_unprivileged(spec, plan); !staged) {
      give_up(tell, staged.error());
    }
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    // Cleared by the change of uid, therefore after it. bwrap does the same for itself and for PID 1.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    auto arguments = bwrap_arguments(plan);
    auto* words = std::get_if<std::vector<std::string>>(&arguments);
    if (!words) give_up(tell, {EPERM, std::get<std::string>(arguments)});
    std::vector<char*> argv;
    for (auto& word : *words) argv.push_back(word.data());
    argv.push_back(nullptr);

    const int high_tell = ::fcntl(tell, F_DUPFD_CLOEXEC, 64);
    inheritance in{control, filter->get(), info->write.get(), {}, output, complaints->write.get()};
    for (const auto& file : files) in.files.push_back(file.get());
    // arrange() closes everything that it was not given: the pipe of last words goes along as close-on-exec.
    in.files.push_back(high_tell);
    const int last = first_file_at + static_cast<int>(files.size());
    if (!arrange(in)) give_up(tell, {errno, "hand descriptors to bubblewrap"});
    ::fcntl(last, F_SETFD, FD_CLOEXEC);
    char* const empty[] = {nullptr};
    ::execve(bubblewrap, argv.data(), empty);
    give_up(last, {errno, std::string("run ") + bubblewrap + "; install the package bubblewrap"});
  }
  return started{pid, std::move(trouble->read), std::move(info->read), std::move(complaints->read)};
}

std::string drain(const descriptor& fd, std::size_t most) {
  ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  std::string out(most, '\0');
  std::size_t got = 0;
  for (ssize_t n; got < most && (n = ::read(fd.get(), out.data() + got, most - got)) > 0;)
    got += static_cast<std::size_t>(n);
  out.resize(got);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

// Why a child that is dead by now did not make it.
os_error explain(const started& s, int status) {
  if (const auto text = drain(s.trouble, complaint_bytes); !text.empty())
    if (const json told = json::parse(text, nullptr, false); told.is_object())
      return {told.value("errno", 0), told.value("text", "")};
  const auto said = drain(s.complaints, complaint_bytes);
  const int number = said.find("No space left on device") != std::string::npos ? ENOSPC : EPERM;
  if (!said.empty()) return {number, "bubblewrap could not make the sandbox: " + said};
  return {number,
          "bubblewrap ended " + (WIFSIGNALED(status) ? "by signal " + std::to_string(WTERMSIG(status))
                                                     : "with code " + std::to_string(WEXITSTATUS(status)))};
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

// Between its own fork and the child's first steps bubblewrap's death does not yet end its child, which would
// wait for ever; it has become ours by then, if we are a subreaper.
int end_all(pid_t bwrap) {
  ::kill(bwrap, SIGKILL);
  const int status = wait_for(bwrap);
  (void)kill_descendants(::getpid());
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  return status;
}

int milliseconds_until(clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - clock::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

}  // namespace

std::filesystem::path own_program() {
  std::error_code ec;
  return std::filesystem::read_symlink("/proc/self/exe", ec);
}

outcome<launched> launch(const sandbox_spec& spec, const cgroups& groups) {
  auto pair = make_control_pair();
  if (!pair) return pair.error();
  auto s =
      start(spec, groups,
            {std::string(inside::programs) + "/sandboxd", "init", "--control", std::to_string(control_at)},
            pair->init.get(), -1);
  if (!s) return s.error();
  pair->init.reset();

  // The info arrives in several pieces: read until it parses, or until the child is dead and the pipe ends.
  const auto end = clock::now() + launch_limit;
  std::string text;
  std::optional<pid_t> inner;
  bool late = false;
  while (!inner) {
    pollfd wait{s->info.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, milliseconds_until(end));
    if (ready == 0) {
      late = true;
      break;
    }
    std::array<char, 512> piece;
    const ssize_t n = ready > 0 ? ::read(s->info.get(), piece.data(), piece.size()) : -1;
    if (n == 0) break;
    if (n > 0) text.append(piece.data(), static_cast<std::size_t>(n));
    if (const json info = json::parse(text, nullptr, false); info.is_object() && info.contains("child-pid"))
      inner = info["child-pid"].get<pid_t>();
  }
  // init's first words: the other end of the pair is open in bwrap and init alone, so their end is ours to
  // see.
  pollfd wait{pair->supervisor.get(), POLLIN, 0};
  if (inner && !late && ::poll(&wait, 1, milliseconds_until(end)) == 0) late = true;
  auto hello =
      !inner || late ? outcome<packet>{os_error{ENOTCONN, ""}} : receive_packet(pair->supervisor.get());
  launched out;
  if (hello) {
    auto outer_id = identify(s->pid);
    auto inner_id = identify(*inner);
    if (outer_id && inner_id) {
      out.bwrap = *outer_id;
      out.init = *inner_id;
      out.control = std::move(pair->supervisor);
      return out;
    }
  }
  const int status = end_all(s->pid);
  if (late) return os_error{ETIMEDOUT, "the sandbox did not start within 10 s"};
  return explain(*s, status);
}

outcome<ran> run_inside(const sandbox_spec& spec, const cgroups& groups, std::vector<std::string> command,
                        std::chrono::milliseconds limit) {
  auto output = make_pipe();
  if (!output) return output.error();
  auto s = start(spec, groups, std::move(command), -1, output->write.get());
  if (!s) return s.error();
  output->write.reset();

  const auto end = clock::now() + limit;
  ran out;
  bool late = false;
  for (;;) {
    pollfd wait{output->read.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, milliseconds_until(end));
    if (ready == 0) late = true;
    if (ready <= 0 && !(ready < 0 && errno == EINTR)) break;
    std::array<char, 4096> piece;
    const ssize_t n = ::read(output->read.get(), piece.data(), piece.size());
    if (n <= 0) break;
    if (out.output.size() < capture_bytes) out.output.append(piece.data(), static_cast<std::size_t>(n));
  }
  const int status = late ? end_all(s->pid) : wait_for(s->pid);
  (void)kill_descendants(::getpid());
  if (late) return os_error{ETIMEDOUT, "the program inside did not end in time"};
  if (WIFSIGNALED(status) || WEXITSTATUS(status) == 126) return explain(*s, status);
  out.exit_code = WEXITSTATUS(status);
  out.errors = drain(s->complaints, complaint_bytes);
  return out;
}

}  // namespace troupe::sandboxd
