// An agent for tests: reads JSON-RPC lines and does what the method says. No JSON library: what it is sent is
// known.
//   reply | calls | flood N BYTES | garbage TEXT | hang | exit CODE | orphan | getenv NAME | slow MS
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

namespace {

// The value as JSON; a text with its quotes.
std::string member(const std::string& line, const std::string& name) {
  auto at = line.find("\"" + name + "\":");
  if (at == line.npos) return {};
  at += name.size() + 3;
  if (line[at] == '"') return line.substr(at, line.find('"', at + 1) + 1 - at);
  return line.substr(at, line.find_first_of(",}", at) - at);
}

std::string unquoted(const std::string& text) {
  return text.size() < 2 ? text : text.substr(1, text.size() - 2);
}

void answer(const std::string& id, const std::string& result) {
  if (!id.empty())
    std::cout << "{\"jsonrpc\":\"2.0\",\"id\":" << id << ",\"result\":" << result << "}" << std::endl;
}

}  // namespace

int main() {
  int calls = 0;
  for (std::string line; std::getline(std::cin, line);) {
    ++calls;
    auto id = member(line, "id");
    std::istringstream words(unquoted(member(line, "method")));
    std::string what;
    words >> what;
    if (what == "hang") continue;
    if (what == "calls") {
      answer(id, std::to_string(calls));
    } else if (what == "flood") {
      int n = 0, bytes = 0;
      words >> n >> bytes;
      for (int i = 1; i <= n; ++i)
        std::cout << "{\"method\":\"n\",\"params\":" << i << ",\"pad\":\"" << std::string(bytes, 'x')
                  << "\"}\n";
      answer(id, "\"flooded\"");
    } else if (what == "garbage") {
      std::string text;
      std::getline(words, text);
      std::cout << text.substr(1) << std::endl;
      answer(id, "null");
    } else if (what == "exit") {
      int code = 0;
      words >> code;
      std::cerr << "dying as told" << std::endl;
      return code;
    } else if (what == "orphan") {
      // A grandchild of a session of its own whose parent is gone, as agents leave them.
      int ends[2];
      if (pipe(ends) != 0) return 9;
      if (fork() == 0) {
        setsid();
        auto pid = fork();
        if (pid != 0) {
          [[maybe_unused]] auto n = write(ends[1], &pid, sizeof pid);
          _exit(0);
        }
        signal(SIGTERM, SIG_IGN);
        for (;;) pause();
      }
      pid_t orphan = 0;
      [[maybe_unused]] auto n = read(ends[0], &orphan, sizeof orphan);
      answer(id, std::to_string(orphan));
    } else if (what == "getenv") {
      std::string name;
      words >> name;
      auto* value = std::getenv(name.c_str());
      answer(id, value ? "\"" + std::string(value) + "\"" : "null");
    } else if (what == "slow") {
      int ms = 0;
      words >> ms;
      usleep(static_cast<useconds_t>(ms) * 1000);
      answer(id, std::to_string(calls));
    } else {
      answer(id, "true");
    }
  }
}
