#include "drivers/sandbox/run_sandboxd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>

namespace troupe::drivers {

namespace asio = wire::asio;

namespace {

struct child {
  pid_t pid = -1;
  int output = -1;
};

attempt<child> start(std::vector<std::string>& argv) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
    return transport(std::string("making a pipe: ") + strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  // Whatever the server has open is nothing that a sandbox's supervisor should hold.
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> words;
  for (auto& word : argv) words.push_back(word.data());
  words.push_back(nullptr);
  child out;
  const int failed = ::posix_spawn(&out.pid, words[0], &actions, &attributes, words.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (failed) {
    ::close(ends[0]);
    return transport("starting " + argv[0] + ": " + strerror(failed));
  }
  out.output = ends[0];
  return out;
}

// After the end of its output the program ends at once; a program that does not is killed.
attempt<nlohmann::json> finish(const std::string& name, pid_t pid, const std::string& text, bool late) {
  if (late) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (late) return transport(name + " did not answer in time");
  auto answer = nlohmann::json::parse(text, nullptr, false);
  if (!answer.is_object())
    return transport(name + " ended " +
                     (WIFSIGNALED(status) ? "by signal " + std::to_string(WTERMSIG(status))
                                          : "with code " + std::to_string(WEXITSTATUS(status))) +
                     " without an answer");
  return answer;
}

std::string name_of(const std::vector<std::string>& argv) {
  return argv[0] + (argv.size() > 1 ? " " + argv[1] : "");
}

}  // namespace

asio::awaitable<attempt<nlohmann::json>> run_sandboxd(wire::executor ex, std::vector<std::string> argv,
                                                      wire::clock::duration limit) {
  auto started = start(argv);
  if (!started) co_return started.error();
  asio::posix::stream_descriptor output(ex, started->output);
  asio::steady_timer deadline(ex, limit);
  auto late = std::make_shared<bool>(false);
  auto over = std::make_shared<bool>(false);
  deadline.async_wait([&output, late, over](const boost::system::error_code& ec) {
    if (ec || *over) return;
    *late = true;
    boost::system::error_code ignored;
    output.cancel(ignored);
  });
  std::string text;
  std::array<char, 4096> piece;
  boost::system::error_code ec;
  while (text.size() < sandboxd_output_bytes) {
    const std::size_t n =
        co_await output.async_read_some(asio::buffer(piece), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) break;
    text.append(piece.data(), n);
  }
  *over = true;
  deadline.cancel();
  co_return finish(name_of(argv), started->pid, text, *late);
}

attempt<nlohmann::json> run_sandboxd_blocking(std::vector<std::string> argv, wire::clock::duration limit) {
  auto started = start(argv);
  if (!started) return started.error();
  const auto end = wire::clock::now() + limit;
  std::string text;
  bool late = false;
  while (text.size() < sandboxd_output_bytes) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - wire::clock::now()).count();
    pollfd wait{started->output, POLLIN, 0};
    if (left <= 0 || ::poll(&wait, 1, static_cast<int>(left)) == 0) {
      late = true;
      break;
    }
    std::array<char, 4096> piece;
    const ssize_t n = ::read(started->output, piece.data(), piece.size());
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) break;
    if (n > 0) text.append(piece.data(), static_cast<std::size_t>(n));
  }
  ::close(started->output);
  return finish(name_of(argv), started->pid, text, late);
}

}  // namespace troupe::drivers
