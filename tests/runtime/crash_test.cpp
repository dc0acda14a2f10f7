// kill -9 at random instants: what a killed server leaves is compared with what it had told the world.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/runtime/crash_bank.h"
#include "tests/storage/scratch.h"

using namespace troupe;
using namespace std::chrono_literals;

namespace {

constexpr int kills_between_checks = 10;
constexpr std::size_t sent_again = 20;
constexpr std::chrono::milliseconds longest_start{20'000};

int kills() {
  const char* wanted = std::getenv("TROUPE_KILLS");
  return wanted ? std::atoi(wanted) : 200;
}

// One life of the program: started, fed, killed `life` after its start or after its first answer; every line
// that it wrote.
std::vector<std::string> live_and_die(const std::filesystem::path& data, const std::string& prefix,
                                      const char* sync, const std::vector<std::string>& again,
                                      std::chrono::milliseconds life, bool from_first_answer) {
  int in[2], out[2];
  REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::execl(CRASH_PROGRAM, CRASH_PROGRAM, data.c_str(), prefix.c_str(), sync, nullptr);
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  std::string ids;
  for (auto& id : again) ids += id + "\n";
  REQUIRE(ids.size() < 4096);  // fits into the pipe: writing cannot block
  CHECK(::write(in[1], ids.data(), ids.size()) == static_cast<ssize_t>(ids.size()));
  ::close(in[1]);

  std::string text;
  auto until = std::chrono::steady_clock::now() + (from_first_answer ? longest_start : life);
  bool killed = false;
  for (char part[65536];;) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (!killed && left <= 0ms) {
      ::kill(child, SIGKILL);
      killed = true;
    }
    pollfd readable{out[0], POLLIN, 0};
    if (::poll(&readable, 1, killed ? -1 : static_cast<int>(left.count())) == 0) continue;
    auto size = ::read(out[0], part, sizeof part);
    if (size <= 0) break;
    text.append(part, static_cast<std::size_t>(size));
    if (from_first_answer && !killed && (text.starts_with("a ") || text.find("\na ") != std::string::npos)) {
      until = std::chrono::steady_clock::now() + life;
      from_first_answer = false;
    }
  }
  ::close(out[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK_MESSAGE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
                "it ended by itself, status " << status);

  std::vector<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) lines.push_back(line);
  // The last line may be half there.
  if (!text.empty() && text.back() != '\n') lines.pop_back();
  return lines;
}

void learn(crash_bank::model& model, const std::vector<std::string>& lines) {
  for (auto& line : lines) {
    std::istringstream words(line);
    std::string what, name;
    std::int64_t number = 0;
    words >> what >> name >> number;
    if (what == "t") model.tried.insert(name);
    if (what == "s") {
      // Snapshots never go back, not even over a crash.
      CHECK_MESSAGE(number >= model.seen[name], line);
      model.seen[name] = number;
    }
    if (what == "a") {
      auto [before, is_new] = model.acknowledged.try_emplace(name, number);
      CHECK_MESSAGE(before->second == number, "answered otherwise the second time: " << line);
    }
  }
}

void check(const std::filesystem::path& data, const crash_bank::model& model) {
  host h({.data = data, .kinds = {&crash_bank::account()}, .effects = {crash_bank::note()}});
  h.start();
  REQUIRE(crash_bank::open_all(h, 10s));
  crash_bank::verify(h, model, 30s);
  h.stop();
}

// Some that were answered and some that were not; both must give one answer for ever.
std::vector<std::string> some(const crash_bank::model& model, std::mt19937_64& random) {
  std::vector<std::string> unanswered, answered, chosen;
  for (auto& id : model.tried) (model.acknowledged.contains(id) ? answered : unanswered).push_back(id);
  std::ranges::shuffle(unanswered, random);
  std::ranges::shuffle(answered, random);
  for (auto* from : {&unanswered, &answered})
    for (std::size_t i = 0; i < std::min(from->size(), sent_again); ++i) chosen.push_back((*from)[i]);
  return chosen;
}

}  // namespace

TEST_CASE(
    "killed at random instants, accounts conserve their total, and what was answered once is applied once") {
  const std::uint64_t seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  scratch dir;
  crash_bank::model model;
  for (int kill = 1; kill <= kills(); ++kill) {
    CAPTURE(kill);
    // Every fourth while it starts or recovers, the others at work.
    const bool starting = random() % 4 == 0;
    auto life = std::chrono::milliseconds(random() % 100);
    learn(model, live_and_die(dir / "data", "k" + std::to_string(kill), kill % 2 ? "full" : "normal",
                              some(model, random), life, !starting));
    if (kill % kills_between_checks == 0) check(dir / "data", model);
  }
  check(dir / "data", model);
  MESSAGE("transfers answered: " << model.acknowledged.size() << ", tried: " << model.tried.size());
  CHECK(model.acknowledged.size() > static_cast<std::size_t>(kills()));
}
