#include "sandboxd/isolation/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

#include "sandboxd/isolation/control.h"
#include "sandboxd/isolation/descendants.h"
#include "sandboxd/isolation/file_server.h"
#include "sandboxd/isolation/relay.h"
#include "sandboxd/isolation/shepherd.h"
#include "sandboxd/process_tree.h"
#include "sandboxd/spawn.h"

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

constexpr int max_command_looks = 500;  // about a millisecond each
constexpr int start_limit_ms = 10'000;  // between fork and exec, which a hostile neighbour may have stopped

json error_json(int number, const std::string& text) {
  return {{"errno", number}, {"text", text}};
}
json error_json(const os_error& e) {
  return error_json(e.number, e.text);
}

// What is known of one spawned process until it is forgotten.
struct process {
  shepherd keeper;
  pid_t pid = 0;
  descriptor handle;         // pidfd of the process: a number alone could be reused
  bool ended = false;        // its exit was reported
  bool keeper_gone = false;  // killed by a neighbour, or nothing was left
};

class init {
 public:
  explicit init(int control) : control_(control) {}

  int run() {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    tell({{"event", "hello"}});
    descriptor signals{::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK)};
    std::vector<pollfd> fds;
    std::vector<process_id_t> ids;
    for (;;) {
      fds = {{control_.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}};
      ids.clear();
      for (const auto& [id, p] : processes_) {
        if (!p.keeper.socket) continue;
        fds.push_back({p.keeper.socket.get(), POLLIN, 0});
        ids.push_back(id);
      }
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      for (std::size_t i = 0; i < ids.size(); ++i)
        if (fds[i + 2].revents) hear_keeper(ids[i]);
      if (fds[1].revents) {
        signalfd_siginfo info;
        while (::read(signals.get(), &info, sizeof(info)) == sizeof(info)) {
        }
        reap();
      }
      if (fds[0].revents && !hear_supervisor()) return 0;
    }
  }

 private:
  using process_id_t = std::uint64_t;

  void tell(const json& what, const std::vector<int>& fds = {}) {
    (void)send_packet(control_.get(), what.dump(-1, ' ', false, json::error_handler_t::replace), fds);
  }

  // False when the supervisor is gone.
  bool hear_supervisor() {
    auto got = receive_packet(control_.get());
    if (!got) return got.error().number != ENOTCONN && got.error().number != EPROTO;
    const json request = json::parse(got->text, nullptr, false);
    if (!request.is_object()) return false;
    std::vector<descriptor> fds;
    json answer;
    try {
      answer = perform(request, fds);
    } catch (const json::exception& e) {
      answer = error_json(EINVAL, std::string("control: ") + e.what());
    }
    if (answer.is_null()) return true;
    answer["id"] = request.value("id", 0);
    std::vector<int> numbers;
    for (const auto& fd : fds) numbers.push_back(fd.get());
    tell(answer, numbers);
    return true;
  }

  json perform(const json& request, std::vector<descriptor>& fds) {
    const auto op = request.at("op").get<std::string>();
    if (op == "begin") return begin(request, fds);
    if (op == "spawn") return spawn(request, fds);
    if (op == "signal") return signal(request);
    if (op == "end_commands") return end_commands(request);
    if (op == "forget") {
      processes_.erase(request.at("process").get<process_id_t>());
      return nullptr;
    }
    if (op == "find") {
      auto found = find_in_path(request.at("name").get<std::string>(), request.at("path").get<std::string>(),
                                inside::workspace);
      return found ? json{{"ok", true}, {"path", *found}} : error_json(found.error());
    }
    // PID 1 and what it is asked through are spared by kill(-1); everything else in the sandbox stops, and a
    // process cannot refuse it. What is being forked at this instant is caught by the second look.
    if (op == "pause") {
      paused_ = true;
      for (int i = 0; i < 3; ++i) ::kill(-1, SIGSTOP);
      return {{"ok", true}};
    }
    if (op == "resume") {
      paused_ = false;
      ::kill(-1, SIGCONT);
      return {{"ok", true}};
    }
    if (op == "count") return {{"ok", true}, {"processes", count_processes()}};
    return error_json(ENOSYS, "control: unknown operation " + op);
  }

  json begin(const json& request, std::vector<descriptor>& fds) {
    if (begun_) return error_json(EALREADY, "control: begun already");
    const auto& limits = request.at("limits");
    limits_.memory_bytes = limits.at("memory").get<std::uint64_t>();
    limits_.disk_bytes = limits.at("disk").get<std::uint64_t>();
    limits_.pids = limits.at("pids").get<std::uint32_t>();
    std::vector<relay_route> routes;
    for (const auto& item : request.at("routes"))
      routes.push_back({item.at("port").get<std::uint16_t>(), item.at("socket").get<std::string>()});
    if (!routes.empty()) {
      auto listening = listen_on_loopback(routes);
      if (!listening) return error_json(listening.error());
      listeners_ = std::move(listening).value();
      start_relay();
    }
    auto socket = start_files();
    if (!socket) return error_json(socket.error());
    fds.push_back(std::move(socket).value());
    begun_ = true;
    return {{"ok", true}};
  }

  void start_relay() {
    relay_ = ::fork();
    if (relay_ != 0) return;
    control_.reset();
    processes_.clear();
    run_relay(listeners_);
  }

  outcome<descriptor> start_files() {
    auto pair = make_control_pair();
    if (!pair) return pair.error();
    files_ = ::fork();
    if (files_ < 0) return os_error{errno, "start the file server: fork"};
    if (files_ == 0) {
      const int socket = pair->init.release();
      close_all_but(socket);
      serve_files(socket);
    }
    return std::move(pair->supervisor);
  }

  json spawn(const json& request, std::vector<descriptor>& fds) {
    if (paused_) return error_json(EBUSY, "start a process: the sandbox is paused");
    if (processes_.size() >= init_processes)
      return error_json(EAGAIN, "start a process: 1,024 are known already; forget some");
    auto keeper = start_shepherd(request, limits_);
    if (!keeper) return error_json(keeper.error());
    pollfd wait{keeper->socket.get(), POLLIN, 0};
    while (::poll(&wait, 1, start_limit_ms) < 0 && errno == EINTR) {
    }
    if (!wait.revents) {
      ::kill(keeper->pid, SIGKILL);
      return error_json(ETIMEDOUT, "start a process: it did not start within 10 s");
    }
    auto got = receive_packet(keeper->socket.get());
    if (!got) return error_json(EIO, "start a process: its keeper was killed");
    json answer = json::parse(got->text, nullptr, false);
    if (!answer.is_object() || !answer.contains("pid"))
      return answer.is_object() ? answer : error_json(EIO, "spawn");
    const pid_t pid = answer["pid"].get<pid_t>();
    const auto id = request.at("process").get<process_id_t>();
    auto& p = processes_[id];
    p.keeper = std::move(keeper).value();
    p.pid = pid;
    p.handle = descriptor{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    fds = std::move(got->fds);
    return {{"ok", true}, {"pid", pid}};
  }

  json signal(const json& request) {
    auto found = processes_.find(request.at("process").get<process_id_t>());
    const int number = request.at("number").get<int>();
    if (found == processes_.end()) return error_json(ESRCH, "signal a process: it is not known");
    auto& p = found->second;
    if (!request.at("tree").get<bool>()) {
      if (p.ended || !p.handle || ::syscall(SYS_pidfd_send_signal, p.handle.get(), number, nullptr, 0) < 0)
        return error_json(p.ended ? ESRCH : errno, "signal a process");
      return {{"ok", true}};
    }
    // Without its keeper the process and what it still has below it are what can be found.
    const pid_t root = p.keeper_gone ? p.pid : p.keeper.pid;
    if (p.keeper_gone && p.ended) return error_json(ESRCH, "signal a tree: nothing of it is left");
    const auto below = descendants(root);
    if (below.empty() && !(p.keeper_gone && !p.ended))
      return error_json(ESRCH, "signal a tree: nothing of it is left");
    if (number == SIGKILL) {
      const bool gone = kill_descendants(root);
      if (p.keeper_gone) ::syscall(SYS_pidfd_send_signal, p.handle.get(), SIGKILL, nullptr, 0);
      return gone ? json{{"ok", true}} : error_json(EBUSY, "kill a tree: some of it is still alive");
    }
    for (pid_t pid : below) ::kill(pid, number);
    if (p.keeper_gone) ::syscall(SYS_pidfd_send_signal, p.handle.get(), number, nullptr, 0);
    return {{"ok", true}};
  }

  json end_commands(const json& request) {
    auto found = processes_.find(request.at("process").get<process_id_t>());
    if (found == processes_.end() || found->second.ended) return {{"ok", true}};
    const auto& p = found->second;
    const auto since = request.at("since").get<unsigned long long>();
    for (int look = 0; look < max_command_looks; ++look) {
      const auto commands = commands_among(descendants(p.keeper_gone ? p.pid : p.keeper.pid), p.pid, since);
      if (commands.empty()) return {{"ok", true}};
      for (const auto& one : commands) (void)signal_seen(one, SIGKILL);
      ::usleep(1000);
    }
    return error_json(EBUSY, "end an agent's commands: some do not go away");
  }

  void hear_keeper(process_id_t id) {
    auto& p = processes_.at(id);
    auto got = receive_packet(p.keeper.socket.get());
    if (!got) {  // it ended, and its report came before
      p.keeper.socket.reset();
      p.keeper_gone = true;
      return;
    }
    const json report = json::parse(got->text, nullptr, false);
    if (report.is_object()) report_exit(id, p, report);
  }

  void report_exit(process_id_t id, process& p, json report) {
    if (p.ended) return;
    p.ended = true;
    report["event"] = "exit";
    report["process"] = id;
    tell(report);
  }

  void reap() {
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == relay_ && !listeners_.empty()) {
        relay_ = 0;
        if (may_restart()) start_relay();
      } else if (pid == files_) {
        files_ = 0;
        if (!may_restart()) continue;
        if (auto socket = start_files()) tell({{"event", "files"}}, {socket->get()});
      } else {
        for (auto& [id, p] : processes_) {
          // A process comes to init when its keeper was killed; either may be reaped first.
          if (p.pid == pid)
            report_exit(id, p,
                        WIFSIGNALED(status) ? json{{"signal", WTERMSIG(status)}}
                                            : json{{"code", WEXITSTATUS(status)}});
          if (p.keeper.pid == pid) {
            while (p.keeper.socket) hear_keeper(id);
            p.keeper_gone = true;
          }
        }
      }
    }
  }

  bool may_restart() {
    const auto now = std::chrono::steady_clock::now();
    if (now - window_ > std::chrono::minutes(1)) {
      window_ = now;
      restarts_ = 0;
    }
    return ++restarts_ <= restarts_per_minute;
  }

  descriptor control_;
  bool begun_ = false;
  bool paused_ = false;
  limits_spec limits_;
  std::map<process_id_t, process> processes_;
  std::vector<relay_listener> listeners_;
  pid_t relay_ = 0;
  pid_t files_ = 0;
  std::chrono::steady_clock::time_point window_ = std::chrono::steady_clock::now();
  int restarts_ = 0;
};

}  // namespace

int run_init(int control) {
  // Neighbours have the same uid: not dumpable means that they cannot open our memory or descriptors through
  // /proc.
  ::prctl(PR_SET_DUMPABLE, 0);
  ::umask(022);
  // What bwrap leaves open besides the control socket belongs to nobody inside.
  close_all_but(control);
  ::fcntl(control, F_SETFD, FD_CLOEXEC);
  if (const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC); null >= 0) {
    for (int i = 0; i < 3; ++i) ::dup2(null, i);
    if (null > 2) ::close(null);
  }
  return init(control).run();
}

}  // namespace troupe::sandboxd
