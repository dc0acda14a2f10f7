#include "tests/cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

namespace troupe::cli::testing {

namespace fs = std::filesystem;

namespace {

constexpr auto run_limit = std::chrono::seconds(60);
constexpr auto start_limit = std::chrono::seconds(30);

std::string read_file(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

pid_t start(const fs::path& home, std::vector<std::string> argv, int in, int out, int err, int keep) {
  std::vector<char*> words;
  for (auto& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  const auto child = ::fork();
  if (child != 0) return child;
  ::setpgid(0, 0);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  if (keep >= 0) ::dup2(keep, 3);
  ::setenv("HOME", home.c_str(), 1);
  ::setenv("TROUPE_SANDBOXD", TROUPE_SANDBOXD_PROGRAM, 1);
  ::setenv("TROUPE_SCRIPTED_AGENT", TROUPE_SCRIPTED_AGENT_PROGRAM, 1);
  for (const char* name :
       {"XDG_CONFIG_HOME", "TROUPE_SERVER", "TROUPE_TOKEN", "TROUPE_ORG", "TROUPE_DATA", "CLICOLOR_FORCE"})
    ::unsetenv(name);
  if (::chdir(home.c_str()) != 0) ::_exit(126);
  ::execvp(words[0], words.data());
  ::_exit(127);
}

/// Waits by the process's descriptor; kills it at the deadline.
int wait_for(pid_t child, std::chrono::seconds limit) {
  const int watch = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  pollfd ended{watch, POLLIN, 0};
  if (::poll(&ended, 1, static_cast<int>(std::chrono::milliseconds(limit).count())) <= 0)
    ::kill(child, SIGKILL);
  ::close(watch);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

scratch::scratch() {
  auto name = (fs::temp_directory_path() / "troupe-cli-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()));
  path_ = name;
}

scratch::~scratch() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

ran run(const scratch& home, std::vector<std::string> argv, const std::string& in) {
  std::ofstream(home / ".in") << in;
  const int input = ::open((home / ".in").c_str(), O_RDONLY | O_CLOEXEC);
  const int output = ::open((home / ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const int errors = ::open((home / ".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const auto child = start(home.path(), std::move(argv), input, output, errors, -1);
  for (const int fd : {input, output, errors}) ::close(fd);
  ran result;
  result.exit_code = wait_for(child, run_limit);
  result.out = read_file(home / ".out");
  result.err = read_file(home / ".err");
  return result;
}

ran run_troupe(const scratch& home, std::vector<std::string> words, const std::string& in) {
  words.insert(words.begin(), TROUPE_PROGRAM);
  return run(home, std::move(words), in);
}

serving::serving(const scratch& home, const std::string& data, std::vector<std::string> more) {
  std::vector<std::string> argv{TROUPE_PROGRAM, "serve", "--data",     (home / data).string(),
                                "--port",       "0",     "--ready-fd", "3"};
  argv.insert(argv.end(), more.begin(), more.end());
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int log = ::open((home / "serve.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  process_ = start(home.path(), std::move(argv), nothing, log, log, ends[1]);
  for (const int fd : {nothing, log, ends[1]}) ::close(fd);
  pollfd ready{ends[0], POLLIN, 0};
  ::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(start_limit).count()));
  char line[4096] = {};
  const auto got = ::read(ends[0], line, sizeof line - 1);
  ::close(ends[0]);
  said_ =
      nlohmann::json::parse(std::string(line, got > 0 ? static_cast<std::size_t>(got) : 0), nullptr, false);
  REQUIRE_MESSAGE(said_.is_object(), "the server did not start: ", read_file(home / "serve.log"));
  url_ = said_.at("url");
}

serving::~serving() {
  if (process_ > 0) kill();
}

int serving::stop() {
  ::kill(process_, SIGTERM);
  const int status = wait_for(process_, start_limit);
  process_ = -1;
  return status;
}

void serving::kill() {
  ::kill(process_, SIGKILL);
  wait_for(process_, start_limit);
  process_ = -1;
}

}  // namespace troupe::cli::testing
