#include "tests/drivers/agent_pipes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>

namespace troupe::test {
namespace {
constexpr auto answer_limit = std::chrono::seconds(10);
}

scratch_folder::scratch_folder() {
  auto name = (std::filesystem::temp_directory_path() / "troupe-test-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

scratch_folder::~scratch_folder() {
  std::error_code ec;
  std::filesystem::remove_all(path_, ec);
}

agent_pipes::agent_pipes(const std::vector<std::string>& argv) {
  std::signal(SIGPIPE, SIG_IGN);
  int in[2], out[2];
  REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  in_ = in[1];
  out_ = out[0];
}

agent_pipes::~agent_pipes() {
  close_stdin();
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(out_);
}

void agent_pipes::send(const json& message) {
  send_line(message.dump());
}

void agent_pipes::send_line(const std::string& line) {
  const auto bytes = line + "\n";
  REQUIRE(::write(in_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
}

nlohmann::json agent_pipes::next() {
  for (;;) {
    if (const auto end = buffer_.find('\n'); end != std::string::npos) {
      const auto line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      auto message = json::parse(line, nullptr, false);
      if (message.is_discarded()) message = {{"not_json", line}};
      seen.push_back(message);
      return message;
    }
    pollfd wait{out_, POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(answer_limit).count()));
    REQUIRE_MESSAGE(ready == 1, "the agent said nothing for 10 s");
    char block[65536];
    const auto got = ::read(out_, block, sizeof block);
    if (got <= 0) return {{"end", true}};
    buffer_.append(block, static_cast<std::size_t>(got));
  }
}

nlohmann::json agent_pipes::call(const std::string& method, json params,
                                 const std::function<void(const json&)>& on_message) {
  const int id = next_id_++;
  send({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}});
  for (;;) {
    auto message = next();
    REQUIRE_MESSAGE(!message.contains("end"), "the agent left in the middle of " << method);
    if (!message.contains("method") && message.value("id", json()) == json(id)) return message;
    if (on_message) on_message(message);
  }
}

nlohmann::json agent_pipes::wait_for(const std::function<bool(const json&)>& wanted) {
  for (;;) {
    auto message = next();
    if (wanted(message)) return message;
    REQUIRE_MESSAGE(!message.contains("end"), "the agent left before it said what was waited for");
  }
}

void agent_pipes::close_stdin() {
  if (in_ >= 0) ::close(in_);
  in_ = -1;
}

int agent_pipes::wait_exit() {
  int status = 0;
  const bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
  REQUIRE_MESSAGE(ended, "the agent did not end within 10 s");
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool process_lives(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return false;
  return line.substr(line.rfind(')') + 2, 1) != "Z";
}

bool eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + answer_limit;
  while (std::chrono::steady_clock::now() < deadline) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return holds();
}

}  // namespace troupe::test
