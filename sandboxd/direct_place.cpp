#include "sandboxd/direct_place.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <thread>
#include <unordered_map>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>

#include "net/wire/signal.h"
#include "sandboxd/file_tree.h"
#include "sandboxd/process_tree.h"
#include "sandboxd/spawn.h"

namespace troupe::sandboxd {
namespace asio = wire::asio;
namespace {

// How often a killed tree is looked at again, and how long in between: together they bound signal().
constexpr int max_kill_looks = 200;
constexpr auto kill_look_pause = std::chrono::milliseconds(5);

std::string random_mark() {
  unsigned char bytes[8];
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return std::to_string(::getpid());
  std::string out;
  for (auto b : bytes) {
    out += "0123456789abcdef"[b >> 4];
    out += "0123456789abcdef"[b & 15];
  }
  return out;
}

}  // namespace

struct direct_place::state {
  struct entry {
    pid_t pid = 0;  // 0 once it was reaped: the number may belong to another from then on
    std::string mark;
    exit_status how;
    wire::signal ended;
  };

  state(wire::executor e, file_tree t) : ex(e), files(std::move(t)), children(e, SIGCHLD) {}

  void watch() {
    children.async_wait([this](boost::system::error_code ec, int) {
      if (ec) return;
      reap();
      watch();
    });
  }

  void reap() {
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      auto found = by_pid.find(pid);
      if (found == by_pid.end()) continue;
      auto& e = entries.at(found->second);
      by_pid.erase(found);
      e.pid = 0;
      if (WIFEXITED(status))
        e.how.code = WEXITSTATUS(status);
      else
        e.how.signal = WTERMSIG(status);
      e.ended.raise();
    }
  }

  // Runs a blocking call on the thread for files and comes back.
  template <class F>
  auto away(F f) -> awaitable<decltype(f())> {
    if (!pool) pool.emplace(1);
    std::optional<decltype(f())> result;
    wire::signal ready(ex);
    // The frame of this coroutine lives until the signal: nobody cancels it.
    asio::post(*pool, [&] {
      result.emplace(f());
      ready.raise();
    });
    co_await ready.wait();
    co_return std::move(*result);
  }

  wire::executor ex;
  file_tree files;
  asio::signal_set children;
  std::map<std::string, std::string> environment;
  std::string directory;
  std::string nonce = random_mark();
  process_id next = 1;
  std::unordered_map<process_id, entry> entries;
  std::unordered_map<pid_t, process_id> by_pid;
  std::optional<asio::thread_pool> pool;
};

direct_place::direct_place(std::unique_ptr<state> s) : state_(std::move(s)) {}

direct_place::~direct_place() {
  if (state_->pool) state_->pool->join();
}

outcome<std::unique_ptr<direct_place>> direct_place::make(wire::executor ex, direct_place_options options) {
  std::map<std::string, std::string> environment(options.environment.begin(), options.environment.end());
  auto home = options.home.empty() ? environment["HOME"] : options.home;
  auto files = file_tree::open(options.root, home);
  if (!files) return files.error();
  // Orphans of what we spawn come to us and not to PID 1, which may reap late and hides whose they were.
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
    return os_error{errno, "become the subreaper of spawned processes"};
  auto s = std::make_unique<state>(ex, std::move(files).value());
  environment["HOME"] = s->files.home();
  s->environment = std::move(environment);
  s->directory = options.directory;
  if (s->directory.empty()) {
    char cwd[4096];
    if (s->files.root() != "/")
      s->directory = s->files.root();
    else
      s->directory = ::getcwd(cwd, sizeof cwd) ? cwd : "/";
  }
  s->watch();
  return std::unique_ptr<direct_place>(new direct_place(std::move(s)));
}

awaitable<outcome<spawned>> direct_place::spawn(process_spec spec) {
  auto& s = *state_;
  auto id = s.next++;
  auto mark = s.nonce + "-" + std::to_string(id);
  auto variables = s.environment;
  for (auto& [name, value] : spec.environment) variables[name] = value;
  variables[tree_variable] = mark;

  auto where = spec.directory.empty() ? s.directory : spec.directory;
  auto folder = s.files.open_directory(where);
  if (!folder) co_return os_error{folder.error().number, "enter the folder " + where};
  if (spec.argv.empty()) co_return os_error{EINVAL, "start a process without a command"};
  // A name with a slash is relative to where the process starts, as a shell there would take it.
  auto found = find_in_path(spec.argv[0], variables["PATH"], folder->get());
  if (!found) co_return found.error();

  program what;
  what.path = found.value();
  what.arguments = std::move(spec.argv);
  for (auto& [name, value] : variables) what.environment.push_back(name + "=" + value);
  what.directory = folder->get();
  what.terminal = spec.terminal;
  what.ends_with_parent = true;
  what.columns = spec.columns;
  what.rows = spec.rows;
  auto started = start_program(what);
  if (!started) co_return started.error();

  s.entries.emplace(id, state::entry{started->pid, mark, {}, wire::signal(s.ex)});
  s.by_pid.emplace(started->pid, id);
  spawned out;
  out.id = id;
  out.pid = started->pid;
  out.input = std::move(started->input);
  out.output = std::move(started->output);
  out.error = std::move(started->error);
  out.terminal = std::move(started->terminal);
  co_return out;
}

awaitable<exit_status> direct_place::wait(process_id id) {
  auto found = state_->entries.find(id);
  if (found == state_->entries.end()) co_return exit_status{};
  auto ended = found->second.ended;
  while (state_->entries.count(id) && state_->entries.at(id).pid != 0) co_await ended.wait();
  auto now = state_->entries.find(id);
  co_return now == state_->entries.end() ? exit_status{} : now->second.how;
}

awaitable<outcome<done>> direct_place::signal(process_id id, int number, reach whom) {
  auto found = state_->entries.find(id);
  if (found == state_->entries.end()) co_return os_error{ESRCH, "signal a process that is forgotten"};
  auto pid = found->second.pid;
  auto mark = found->second.mark;
  if (whom == reach::process) {
    // Not reaped yet, so the number is still ours.
    if (pid == 0) co_return os_error{ESRCH, "signal a process that has ended"};
    if (::kill(pid, number) != 0) co_return os_error{errno, "signal process " + std::to_string(pid)};
    co_return done{};
  }
  bool any = false;
  for (int look = 0; look < max_kill_looks; ++look) {
    auto tree = find_tree(pid, mark);
    if (tree.empty()) break;
    for (auto& member : tree) any = signal_seen(member, number) || any;
    if (number != SIGKILL) break;
    co_await wire::sleep_for(kill_look_pause);
    if (look + 1 == max_kill_looks)
      co_return os_error{EBUSY, "end " + std::to_string(tree.size()) + " processes that do not go away"};
    auto now = state_->entries.find(id);
    pid = now == state_->entries.end() ? 0 : now->second.pid;
  }
  if (!any) co_return os_error{ESRCH, "signal a process tree that has ended"};
  co_return done{};
}

awaitable<outcome<done>> direct_place::end_commands(process_id id, unsigned long long since) {
  for (int look = 0; look < max_kill_looks; ++look) {
    const auto found = state_->entries.find(id);
    if (found == state_->entries.end() || found->second.pid == 0) co_return done{};
    const auto root = found->second.pid;
    std::vector<pid_t> members;
    for (const auto& member : find_tree(root, found->second.mark)) members.push_back(member.pid);
    const auto commands = commands_among(members, root, since);
    if (commands.empty()) co_return done{};
    for (const auto& one : commands) signal_seen(one, SIGKILL);
    co_await wire::sleep_for(kill_look_pause);
  }
  co_return os_error{EBUSY, "end an agent's commands: some do not go away"};
}

void direct_place::forget(process_id id) {
  auto found = state_->entries.find(id);
  if (found == state_->entries.end()) return;
  state_->by_pid.erase(found->second.pid);
  found->second.ended.raise();
  state_->entries.erase(found);
}

awaitable<outcome<std::string>> direct_place::find_program(std::string name) {
  auto path = state_->environment.find("PATH");
  co_return find_in_path(name, path == state_->environment.end() ? "" : path->second, AT_FDCWD);
}

std::optional<std::string> direct_place::environment(const std::string& name) const {
  auto found = state_->environment.find(name);
  if (found == state_->environment.end()) return std::nullopt;
  return found->second;
}

std::string direct_place::home() const {
  return state_->files.home();
}

awaitable<outcome<file_status>> direct_place::status(std::string path) {
  return state_->away([this, path] { return state_->files.status(path); });
}

awaitable<outcome<std::vector<file_entry>>> direct_place::list(std::string path) {
  return state_->away([this, path] { return state_->files.list(path); });
}

awaitable<outcome<descriptor>> direct_place::open(std::string path, open_mode how, std::uint32_t mode) {
  return state_->away([this, path, how, mode] { return state_->files.open(path, how, mode); });
}

awaitable<outcome<done>> direct_place::make_directory(std::string path) {
  return state_->away([this, path] { return state_->files.make_directory(path); });
}

awaitable<outcome<done>> direct_place::make_symlink(std::string target, std::string path) {
  return state_->away([this, target, path] { return state_->files.make_symlink(target, path); });
}

awaitable<outcome<done>> direct_place::move(std::string from, std::string to, bool overwrite) {
  return state_->away([this, from, to, overwrite] { return state_->files.move(from, to, overwrite); });
}

awaitable<outcome<done>> direct_place::remove(std::string path, bool recursive) {
  return state_->away([this, path, recursive] { return state_->files.remove(path, recursive); });
}

void direct_place::kill_everything() {
  for (int look = 0; look < max_kill_looks; ++look) {
    state_->reap();
    bool any = false;
    for (auto& [id, e] : state_->entries)
      for (auto& member : find_tree(e.pid, e.mark)) any = signal_seen(member, SIGKILL) || any;
    if (!any) return;
    ::usleep(std::chrono::duration_cast<std::chrono::microseconds>(kill_look_pause).count());
  }
}

}  // namespace troupe::sandboxd
