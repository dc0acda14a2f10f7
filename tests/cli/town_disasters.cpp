#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>

#include "tests/cli/town.h"

namespace troupe::cli::testing {

using namespace std::chrono_literals;

namespace {

constexpr auto small_disk = "4G";  // more than the 2 GB below which no sandbox is made

// Those below it too, children first.
std::vector<pid_t> with_children(pid_t pid) {
  std::vector<pid_t> all;
  std::istringstream children(
      slurp("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children"));
  for (pid_t child; children >> child;)
    for (const auto p : with_children(child)) all.push_back(p);
  all.push_back(pid);
  return all;
}

}  // namespace

void town::make_small_disk() {
  const auto image = (home_ / "disk").string(), data = (home_ / "data").string();
  std::filesystem::create_directory(data);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"truncate", "-s", small_disk, image},
                                             {"mkfs.ext4", "-q", "-F", image},
                                             {"mount", "-o", "loop", image, data}}) {
    const auto made = run(home_, words);
    REQUIRE_MESSAGE(made.exit_code == 0, words[0], ": ", made.err);
  }
  std::filesystem::permissions(data, std::filesystem::perms::owner_all);
}

town::~town() {
  thaw();
  // Lazily: what still runs in it is ended with the folder.
  if (plan_.small_disk) ::umount2((home_ / "data").c_str(), MNT_DETACH);
}

void town::kill_server() {
  server_->kill();
  start();
  measure_statuses();
}

void town::upgrade(std::mt19937_64& random) {
  if (random() % 2 == 0)
    CHECK(server_->stop() == 0);
  else
    server_->kill();
  ++upgrades_;
  start();
  CHECK(server().get("/v1/health").at("version").get<std::string>().ends_with("-other") ==
        (upgrades_ % 2 == 1));
  measure_statuses();
}

std::vector<town::place> town::places() {
  std::vector<place> all;
  std::error_code ec;
  for (const auto& at : std::filesystem::directory_iterator(home_ / "data" / "org" / "o" / "sandbox", ec)) {
    const auto said = json::parse(slurp(at.path() / "run" / "supervisor.json"), nullptr, false);
    if (!said.is_object() || said.value("state", "") != "running") continue;
    place p{
        "org/o/sandbox/" + at.path().filename().string(), said.at("supervisor").at("pid").get<pid_t>(), {}};
    for (const auto& g : said.at("groups")) groups_.insert(g.get<std::string>());
    if (::kill(p.supervisor, 0) != 0 ||
        slurp("/proc/" + std::to_string(p.supervisor) + "/cmdline").find(home_.path()) == std::string::npos)
      continue;
    p.all = with_children(p.supervisor);
    all.push_back(std::move(p));
  }
  return all;
}

void town::lose_a_sandbox(std::mt19937_64& random) {
  const auto all = places();
  if (all.empty()) return;
  ::kill(all[random() % all.size()].supervisor, SIGKILL);
  ++losses_;
}

void town::end_everything() {
  const auto all = places();
  server_->kill();
  for (const auto& p : all)
    for (const auto pid : p.all) ::kill(pid, SIGKILL);
  losses_ += static_cast<int>(all.size());
  start();
  measure_statuses();
}

void town::freeze_a_sandbox(std::mt19937_64& random) {
  const auto all = places();
  if (all.empty()) return;
  frozen_ = all[random() % all.size()].all;
  for (const auto pid : frozen_) ::kill(pid, SIGSTOP);
}

void town::thaw() {
  for (const auto pid : frozen_) ::kill(pid, SIGCONT);
  frozen_.clear();
}

void town::fill_disk() {
  was_full_ = true;
  const int fd = ::open((home_ / "data" / "filler").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  off_t size = 0;
  for (off_t piece = 1 << 30; piece >= 4096; piece /= 2)
    while (::posix_fallocate(fd, size, piece) == 0) size += piece;
  ::close(fd);
  REQUIRE(size > 0);
}

void town::empty_disk() {
  std::filesystem::remove(home_ / "data" / "filler");
}

}  // namespace troupe::cli::testing
