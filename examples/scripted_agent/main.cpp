// scripted-agent: an agent without a model. It speaks the Agent Client Protocol over stdio and does what a
// prompt says, line by line. Start reading at agent.h (the protocol) and script.h (the language).
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "examples/scripted_agent/agent.h"
#include "examples/scripted_agent/script.h"

namespace {

int wake_write = -1;

void on_terminate(int) {
  const char byte = 1;
  [[maybe_unused]] const auto put = ::write(wake_write, &byte, 1);
}

void print_help() {
  std::puts(
      "scripted-agent: an ACP agent (JSON-RPC lines on stdin and stdout) that needs no model and no key.\n"
      "\n"
      "usage: scripted-agent [--home DIR] [--mode MODE] [--pace MS] [--start HOW]\n"
      "\n"
      "  --home DIR    where sessions are kept ($SCRIPTED_AGENT_HOME, else $HOME/.scripted-agent)\n"
      "  --mode MODE   first mode of a session: default, careful, plan, full ($SCRIPTED_AGENT_MODE)\n"
      "  --pace MS     between two chunks of a message ($SCRIPTED_AGENT_PACE_MS, else 0)\n"
      "  --start HOW   to try a client: die (exit 3 at once), garbage (prints no JSON first), silent (never\n"
      "                answers) ($SCRIPTED_AGENT_START)\n"
      "\n"
      "A prompt whose first line is a directive is a script; any other does a small demonstration in the "
      "folder.\n"
      "Lines that are empty or begin with # are left out. In `write PATH TEXT` and `edit`, \\n is a new "
      "line.\n");
  for (const auto& d : scripted::directives()) {
    std::printf("  %-42.*s %.*s\n", static_cast<int>(d.form.size()), d.form.data(),
                static_cast<int>(d.meaning.size()), d.meaning.data());
  }
  std::puts(
      "\nexample:\n"
      "  say I begin.\n"
      "  write src/hello.sh <<END\n"
      "  echo hello\n"
      "  END\n"
      "  run sh src/hello.sh");
}

std::string from_environment(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  auto home = from_environment("SCRIPTED_AGENT_HOME", from_environment("HOME", "/tmp") + "/.scripted-agent");
  auto mode = from_environment("SCRIPTED_AGENT_MODE", "default");
  auto pace = from_environment("SCRIPTED_AGENT_PACE_MS", "0");
  auto start = from_environment("SCRIPTED_AGENT_START", "");
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    std::string* into = name == "--home"    ? &home
                        : name == "--mode"  ? &mode
                        : name == "--pace"  ? &pace
                        : name == "--start" ? &start
                                            : nullptr;
    if (name == "--help" || name == "-h") {
      print_help();
      return 0;
    }
    if (into == nullptr || i + 1 == argc) {
      std::fprintf(stderr, "scripted-agent: %s %s; --help shows what it takes\n", name.c_str(),
                   into == nullptr ? "is no option" : "needs a value");
      return 2;
    }
    *into = argv[++i];
  }
  if (mode != "default" && mode != "careful" && mode != "plan" && mode != "full") {
    std::fprintf(stderr, "scripted-agent: `%s` is no mode; there are default, careful, plan and full\n",
                 mode.c_str());
    return 2;
  }
  if (start == "die") {
    std::fputs("scripted-agent: dying at start, as asked\n", stderr);
    return 3;
  }

  int wake[2];
  if (::pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) {
    std::fprintf(stderr, "scripted-agent: making a pipe: %s\n", std::strerror(errno));
    return 1;
  }
  wake_write = wake[1];
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, on_terminate);
  std::signal(SIGINT, on_terminate);
  // Commands that the agent starts must not hold its stdin and stdout.
  ::fcntl(0, F_SETFD, FD_CLOEXEC);
  ::fcntl(1, F_SETFD, FD_CLOEXEC);

  scripted::peer client(0, 1);
  scripted::agent agent(client, {home, mode, std::chrono::milliseconds(std::atoi(pace.c_str()))});
  if (start == "garbage") client.write_raw("Warning: this line is not JSON\n{\"half\": \n");
  client.run(
      [&](const std::string& method, const scripted::json& params, const scripted::json& id) {
        if (start != "silent") agent.handle(method, params, id);
      },
      wake[0]);
  agent.stop();
  return 0;
}
