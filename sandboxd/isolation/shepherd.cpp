#include "sandboxd/isolation/shepherd.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "sandboxd/file_tree.h"
#include "sandboxd/isolation/control.h"
#include "sandboxd/isolation/file_json.h"
#include "sandboxd/isolation/rlimits.h"
#include "sandboxd/spawn.h"

namespace troupe::sandboxd {
namespace {

using nlohmann::json;

outcome<child> start(const json& request, const limits_spec& limits) {
  program what;
  for (const auto& item : request.at("argv")) what.arguments.push_back(bytes_from_json(item));
  for (const auto& item : request.at("environment")) what.environment.push_back(bytes_from_json(item));
  what.terminal = request.at("terminal").get<bool>();
  what.columns = request.at("columns").get<std::uint16_t>();
  what.rows = request.at("rows").get<std::uint16_t>();
  if (what.arguments.empty()) return os_error{EINVAL, "start a process without a name"};

  auto tree = file_tree::open("/", inside::home);
  if (!tree) return tree.error();
  const auto where = bytes_from_json(request.at("directory"));
  auto folder = tree->open_directory(where.empty() ? inside::workspace : where);
  if (!folder) return folder.error();
  what.directory = folder->get();
  if (::fchdir(folder->get()) < 0) return os_error{errno, "enter the folder " + where};

  std::string path;
  for (const auto& item : what.environment)
    if (item.rfind("PATH=", 0) == 0) path = item.substr(5);
  auto found = find_in_path(what.arguments.front(), path);
  if (!found) return found.error();
  what.path = std::move(found).value();
  // After this the shepherd itself can fork no more than the sandbox is allowed to: a full sandbox answers
  // EAGAIN.
  if (auto set = set_process_limits(limits); !set) return set.error();
  return start_program(what);
}

[[noreturn]] void live(int socket, const json& request, const limits_spec& limits) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  auto started = start(request, limits);
  if (!started) {
    const json answer = {{"errno", started.error().number}, {"text", started.error().text}};
    (void)send_packet(socket, answer.dump(-1, ' ', false, json::error_handler_t::replace));
    ::_exit(0);
  }
  const pid_t pid = started->pid;
  std::vector<int> fds;
  if (started->terminal)
    fds = {started->terminal.get()};
  else
    fds = {started->input.get(), started->output.get(), started->error.get()};
  const bool told = send_packet(socket, json{{"pid", pid}}.dump(), fds).ok();
  if (!told) ::kill(pid, SIGKILL);
  // Ours would keep the pipes open for the readers.
  *started = child{};

  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, 0);
    if (ended < 0 && errno == EINTR) continue;
    if (ended < 0) ::_exit(0);  // ECHILD: nothing is left
    if (ended != pid) continue;
    const json report =
        WIFSIGNALED(status) ? json{{"signal", WTERMSIG(status)}} : json{{"code", WEXITSTATUS(status)}};
    (void)send_packet(socket, report.dump());
  }
}

}  // namespace

void close_all_but(int keep) {
  if (keep > 3) ::syscall(SYS_close_range, 3u, static_cast<unsigned>(keep - 1), 0u);
  ::syscall(SYS_close_range, keep < 3 ? 3u : static_cast<unsigned>(keep + 1), ~0u, 0u);
}

outcome<shepherd> start_shepherd(const nlohmann::json& request, const limits_spec& limits) {
  auto pair = make_control_pair();
  if (!pair) return pair.error();
  const pid_t pid = ::fork();
  if (pid < 0) return os_error{errno, "start a process: fork"};
  if (pid == 0) {
    const int socket = pair->init.release();
    close_all_but(socket);
    try {
      live(socket, request, limits);
    } catch (const std::exception& e) {
      (void)send_packet(
          socket, json{{"errno", EINVAL}, {"text", std::string("start a process: ") + e.what()}}.dump());
    }
    ::_exit(1);
  }
  return shepherd{pid, std::move(pair->supervisor)};
}

}  // namespace troupe::sandboxd
