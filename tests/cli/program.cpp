#include "tests/cli/program.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
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

std::vector<char*> pointers(std::vector<std::string>& argv) {
  std::vector<char*> words;
  for (auto& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  return words;
}

/// In the child: what the test's user has around, and nothing of who runs the tests.
[[noreturn]] void become(const fs::path& home, char** words) {
  ::setenv("HOME", home.c_str(), 1);
  ::setenv("TROUPE_SANDBOXD", TROUPE_SANDBOXD_PROGRAM, 1);
  ::setenv("TROUPE_SCRIPTED_AGENT", TROUPE_SCRIPTED_AGENT_PROGRAM, 1);
  for (const char* name : {"XDG_CONFIG_HOME", "TROUPE_SERVER", "TROUPE_TOKEN", "TROUPE_ORG", "TROUPE_DATA",
                           "CLICOLOR_FORCE", "NO_COLOR", "COLUMNS"})
    ::unsetenv(name);
  if (::chdir(home.c_str()) != 0) ::_exit(126);
  ::execvp(words[0], words);
  ::_exit(127);
}

pid_t start(const fs::path& home, std::vector<std::string> argv, int in, int out, int err, int keep) {
  auto words = pointers(argv);
  const auto child = ::fork();
  if (child != 0) return child;
  ::setpgid(0, 0);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  if (keep >= 0) ::dup2(keep, 3);
  become(home, words.data());
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

/// Ends what was started for `folder` and outlives who started it, as sandboxes do.
void end_all_of(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const auto id = std::atoi(entry.path().filename().c_str());
    if (id > 0 && id != ::getpid() &&
        read_file(entry.path() / "cmdline").find(folder.string()) != std::string::npos)
      ::kill(id, SIGKILL);
  }
}

}  // namespace

scratch::scratch() {
  auto name = (fs::temp_directory_path() / "troupe-cli-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()));
  path_ = name;
}

scratch::~scratch() {
  end_all_of(path_);
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

at_terminal::at_terminal(const scratch& home, std::vector<std::string> words, unsigned short columns) {
  words.insert(words.begin(), TROUPE_PROGRAM);
  auto argv = pointers(words);
  winsize size{.ws_row = 40, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  process_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
  REQUIRE(process_ >= 0);
  if (process_ > 0) return;
  ::setenv("TERM", "xterm-256color", 1);
  become(home.path(), argv.data());
}

at_terminal::~at_terminal() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  ::close(terminal_);
}

void at_terminal::type(std::string_view keys) {
  REQUIRE(::write(terminal_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
}

bool at_terminal::read_more() {
  pollfd ready{terminal_, POLLIN, 0};
  if (::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(run_limit).count())) <= 0) return false;
  char buffer[4096];
  const auto got = ::read(terminal_, buffer, sizeof buffer);
  if (got > 0) shown_.append(buffer, static_cast<std::size_t>(got));
  return got > 0;
}

void at_terminal::await(std::string_view text) {
  while (shown_.find(text, seen_) == std::string::npos)
    REQUIRE_MESSAGE(read_more(), "`", std::string(text), "` is not shown after:\n", shown_.substr(seen_));
  seen_ = shown_.find(text, seen_) + text.size();
}

int at_terminal::end() {
  while (read_more()) {
  }
  const int status = wait_for(process_, run_limit);
  process_ = -1;
  return status;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

nlohmann::json parsed(const ran& r) {
  INFO(r.err);
  REQUIRE(r.exit_code == 0);
  return nlohmann::json::parse(r.out);
}

void make_repository(const scratch& home, const std::string& name) {
  const auto folder = (home / name).string();
  const auto git = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"git", "-C", folder, "-c", "user.name=T", "-c", "user.email=t@localhost"});
    const auto r = run(home, words);
    REQUIRE_MESSAGE(r.exit_code == 0, r.err);
  };
  fs::create_directories(folder);
  std::ofstream(home / name / "README") << "hello\n";
  git({"init", "-q", "-b", "main"});
  git({"add", "README"});
  git({"commit", "-q", "-m", "Begin"});
}

serving::serving(const scratch& home, const std::string& data, std::vector<std::string> more,
                 const std::string& program) {
  std::vector<std::string> argv{program,  "serve", "--data",     (home / data).string(),
                                "--port", "0",     "--ready-fd", "3"};
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
