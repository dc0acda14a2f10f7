#include "cli/programs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include <fmt/format.h>

#include "cli/failure.h"

extern char** environ;

namespace troupe::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t max_output = 1u << 20;

bool runnable(const fs::path& path) {
  return ::access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path);
}

fs::path find(const std::string& name, const std::string& given, const char* variable,
              const char* build_folder) {
  std::vector<fs::path> tried;
  const char* set = std::getenv(variable);
  if (!given.empty() || (set && *set)) {
    tried.push_back(given.empty() ? set : given);
  } else {
    const auto here = own_program().parent_path();
    tried = {here / name, here / ".." / build_folder / name, here / ".." / "lib" / "troupe" / name};
    std::istringstream path(std::getenv("PATH") ? std::getenv("PATH") : "");
    for (std::string folder; std::getline(path, folder, ':');) {
      if (!folder.empty()) tried.push_back(fs::path(folder) / name);
    }
  }
  std::string places;
  for (const auto& candidate : tried) {
    std::error_code error;
    if (runnable(candidate)) return fs::canonical(candidate, error);
    places += fmt::format("\n  {}", candidate.lexically_normal().string());
  }
  throw failure(
      fmt::format("the program {} is not there; tried:{}", name, places),
      fmt::format("build it (cmake --build … --target {}), or say where it is with {}", name, variable));
}

}  // namespace

fs::path own_program() {
  std::error_code error;
  const auto path = fs::read_symlink("/proc/self/exe", error);
  if (error) throw failure("cannot read /proc/self/exe: " + error.message(), "is /proc mounted?");
  return path;
}

fs::path find_sandboxd(const std::string& given) {
  return find("sandboxd", given, "TROUPE_SANDBOXD", "sandboxd");
}

fs::path find_scripted_agent(const std::string& given) {
  return find("scripted-agent", given, "TROUPE_SCRIPTED_AGENT", "examples/scripted_agent");
}

run_result run_program(const std::vector<std::string>& argv, int seconds) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw failure(fmt::format("no pipe: {}", std::strerror(errno)));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  std::vector<char*> arguments;
  for (const auto& one : argv) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (failed != 0) {
    ::close(ends[0]);
    throw failure(fmt::format("cannot start {}: {}", argv[0], std::strerror(failed)));
  }
  run_result result;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  bool late = false;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd ready{ends[0], POLLIN, 0};
    const int n = left.count() > 0 ? ::poll(&ready, 1, static_cast<int>(left.count())) : 0;
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      late = true;
      ::kill(child, SIGKILL);
      break;
    }
    char buffer[4096];
    const auto got = ::read(ends[0], buffer, sizeof buffer);
    if (got <= 0) break;
    if (result.output.size() < max_output) result.output.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) throw failure(fmt::format("{} took longer than {} s and was ended", argv[0], seconds));
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace troupe::cli
