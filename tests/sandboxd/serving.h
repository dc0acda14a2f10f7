// The real sandboxd, started for one test and ended with it, and a client for it.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "net/wire/client.h"

namespace troupe::tests {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr auto patience = 20s;

// Shorter than the daemon's heartbeats, which count as no silence.
constexpr auto silence = 10s;

// Until `fact` holds; false when it does not in time.
inline bool eventually(const std::function<bool()>& fact, std::chrono::milliseconds limit = patience) {
  auto until = std::chrono::steady_clock::now() + limit;
  while (!fact()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(5ms);
  }
  return true;
}

inline bool alive(pid_t pid) {
  char state = 0;
  auto path = "/proc/" + std::to_string(pid) + "/stat";
  if (FILE* f = ::fopen(path.c_str(), "r")) {
    if (::fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 0;
    ::fclose(f);
  }
  return state && state != 'Z' && state != 'X';
}

class temporary_folder {
 public:
  temporary_folder() {
    std::string name = "/tmp/sandboxd-test-XXXXXX";
    REQUIRE(::mkdtemp(name.data()));
    path_ = std::filesystem::canonical(name);
  }
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class serving {
 public:
  explicit serving(std::vector<std::string> more = {}) : more_(std::move(more)) { start(); }
  ~serving() { kill(SIGTERM); }

  void start() {
    std::vector<std::string> line{
        SANDBOXD_PROGRAM,   "serve",          "--port",  "0",
        "--state",          folder / "state", "--agent", std::string("stand-in=") + STAND_IN_AGENT,
        "--scripted-agent", "/nonexistent"};
    line.insert(line.end(), more_.begin(), more_.end());
    std::vector<char*> argv;
    for (auto& word : line) argv.push_back(word.data());
    argv.push_back(nullptr);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    pid = ::fork();
    if (pid == 0) {
      ::setenv("HOME", folder.path().c_str(), 1);
      ::dup2(ends[1], 1);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    std::string said;
    char c;
    while (said.find('\n') == said.npos && ::read(ends[0], &c, 1) == 1) said += c;
    ::close(ends[0]);
    if (auto at = said.find("unix:"); at != said.npos) {
      to = wire::endpoint::unix_file(said.substr(at + 5, said.size() - at - 6));
      return;
    }
    REQUIRE_MESSAGE(said.find("http://") != said.npos, "sandboxd did not start: " << said);
    to = wire::endpoint::tcp("127.0.0.1",
                             static_cast<std::uint16_t>(std::stoi(said.substr(said.rfind(':') + 1))));
  }

  // Its exit code; -1 after a signal.
  int kill(int signal) {
    if (pid <= 0) return -1;
    ::kill(pid, signal);
    int status = 0;
    ::waitpid(pid, &status, 0);
    pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  struct answer {
    int status = 0;
    wire::headers headers;
    std::string text;
    json body;
  };

  answer call(const std::string& method, const std::string& target, std::string body = {},
              wire::headers fields = {}, std::chrono::milliseconds limit = patience) {
    wire::blocking_client client;
    wire::request r;
    r.method = method;
    r.target = target;
    r.headers = std::move(fields);
    if (!body.empty() && !r.headers.has("content-type")) r.headers.set("content-type", "application/json");
    if (!token.empty()) r.headers.set("authorization", "Bearer " + token);
    r.body = std::move(body);
    auto got = client.fetch(to, std::move(r), limit);
    answer out;
    if (!got) {
      out.text = got.error().text;
      return out;
    }
    out.status = got->status;
    out.headers = got->headers;
    out.text = got->bytes();
    out.body = json::parse(out.text, nullptr, false);
    return out;
  }

  answer get(const std::string& target) { return call("GET", target); }
  answer post(const std::string& target, const json& body, const std::string& key = {}) {
    wire::headers fields;
    if (!key.empty()) fields.set("idempotency-key", key);
    return call("POST", target, body.dump(), std::move(fields));
  }
  // One request to an agent; `id` is any JSON.
  answer ask(const std::string& connection, const json& id, const std::string& method,
             const std::string& key = {}) {
    json message;
    message["jsonrpc"] = "2.0";
    message["id"] = id;
    message["method"] = method;
    return post("/v1/acp/" + connection + "?agent=stand-in", message, key);
  }

  struct event {
    std::uint64_t id = 0;
    json data;
  };
  // The events after `after` until `enough` says so of one.
  std::vector<event> events(const std::string& target, std::uint64_t after,
                            const std::function<bool(const event&)>& enough) {
    std::vector<event> out;
    bool satisfied = false;
    wire::blocking_client client;
    wire::request r;
    r.target = target;
    if (after) r.headers.set("last-event-id", std::to_string(after));
    auto status = client.events(
        to, std::move(r),
        [&](const wire::sse_event& e) {
          out.push_back({std::stoull(e.id), json::parse(e.data, nullptr, false)});
          satisfied = enough(out.back());
          return !satisfied;
        },
        nullptr, silence);
    CHECK_MESSAGE(satisfied, "the stream ended without the awaited event");
    return out;
  }

  temporary_folder folder;
  wire::endpoint to;
  std::string token;
  pid_t pid = 0;

 private:
  std::vector<std::string> more_;
};

}  // namespace troupe::tests
