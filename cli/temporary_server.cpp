#include "cli/temporary_server.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/failure.h"
#include "cli/programs.h"

namespace troupe::cli {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int ready_descriptor = 3;
constexpr std::size_t shown_words = 2000;

/// The line that the server writes when it serves; empty when it ended or took too long.
std::string read_line(int fd, int seconds) {
  std::string line;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (line.find('\n') == std::string::npos) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd ready{fd, POLLIN, 0};
    if (left.count() <= 0) return {};
    const int n = ::poll(&ready, 1, static_cast<int>(left.count()));
    if (n < 0 && errno == EINTR) continue;
    char buffer[1024];
    const auto got = n > 0 ? ::read(fd, buffer, sizeof buffer) : 0;
    if (got <= 0) return {};
    line.append(buffer, static_cast<std::size_t>(got));
  }
  return line;
}

}  // namespace

temporary_server::temporary_server(const std::vector<std::string>& options) {
  auto name = (fs::temp_directory_path() / "troupe-demo-XXXXXX").string();
  if (!::mkdtemp(name.data())) {
    throw failure(fmt::format("cannot make a folder {}: {}", name, std::strerror(errno)),
                  "set TMPDIR to a folder that is writable");
  }
  data_ = name;
  // Everything that allocates happens before the fork.
  std::vector<std::string> words{own_program().string(), "serve",      "--data",
                                 data_.string(),         "--port",     "0",
                                 "--keep-to-itself",     "--ready-fd", std::to_string(ready_descriptor)};
  words.insert(words.end(), options.begin(), options.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw failure(fmt::format("no pipe: {}", std::strerror(errno)));
  const int log = ::open((data_ / "server.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const auto parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) {
    // An own group: Ctrl-C is for the demo, which then ends the server in order. It dies with the demo in any
    // case.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    ::dup2(log, 1);
    ::dup2(log, 2);
    if (ends[1] == ready_descriptor) {
      ::fcntl(ends[1], F_SETFD, 0);
    } else {
      ::dup2(ends[1], ready_descriptor);
    }
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  if (log >= 0) ::close(log);
  const auto line = process_ > 0 ? read_line(ends[0], start_seconds) : std::string();
  ::close(ends[0]);
  const auto said = json::parse(line, nullptr, false);
  if (!said.is_object()) {
    end();
    const auto words_of_server = last_words();
    std::error_code ignored;
    fs::remove_all(data_, ignored);
    throw failure(words_of_server.empty() ? "the server did not start"
                                          : fmt::format("the server did not start:\n{}", words_of_server),
                  "troupe doctor says what is missing");
  }
  place_ = {said.value("url", ""), said.value("token", ""), "the demo's own server"};
  link_ = said.value("link", "");
  tier_ = said.value("tier", "");
}

temporary_server::~temporary_server() {
  end();
  std::error_code ignored;
  if (!keep_) fs::remove_all(data_, ignored);
}

void temporary_server::end() {
  if (process_ <= 0) return;
  ::kill(process_, SIGTERM);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(stop_seconds);
  while (::waitpid(process_, nullptr, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > until) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  process_ = -1;
}

std::string temporary_server::last_words() const {
  std::ifstream in(data_ / "server.log");
  std::string all{std::istreambuf_iterator<char>(in), {}};
  while (!all.empty() && all.back() == '\n') all.pop_back();
  return all.size() > shown_words ? all.substr(all.size() - shown_words) : all;
}

}  // namespace troupe::cli
