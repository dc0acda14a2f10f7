#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "bench/fan/servers.h"

extern char** environ;

namespace troupe::bench {

served::served(const std::vector<std::string>& words) {
  int to[2], from[2];
  if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) throw std::runtime_error("no pipes left");
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, to[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, from[1], STDOUT_FILENO);
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int wrong = ::posix_spawnp(&pid_, arguments[0], &files, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::close(to[0]);
  ::close(from[1]);
  in_ = to[1];
  if (wrong) throw std::runtime_error("could not start " + words.front());
  std::string line;
  for (char c = 0; ::read(from[0], &c, 1) == 1 && c != '\n';) line += c;
  ::close(from[0]);
  if (line.empty()) throw std::runtime_error(words.front() + " did not say where it listens");
  port_ = static_cast<std::uint16_t>(std::stoi(line));
}

served::~served() {
  ::close(in_);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

void served::broadcast() {
  if (::write(in_, "n", 1) != 1) throw std::runtime_error("the server ended");
}

double served::cpu_seconds() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  unsigned long user = 0, system = 0;
  // After the name, which may hold anything.
  const auto after = text.rfind(')');
  if (after == std::string::npos ||
      std::sscanf(text.c_str() + after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                  &system) != 2)
    return 0;
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double served::resident_kb() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
  long whole = 0, resident = 0;
  file >> whole >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1024.0;
}

}  // namespace troupe::bench
