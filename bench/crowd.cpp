#include "bench/crowd.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <thread>

#include <fmt/format.h>

#include "bench/counter.h"
#include "bench/load.h"
#include "bench/measure.h"
#include "storage/database.h"

namespace troupe::bench {
namespace {

namespace fs = std::filesystem;

constexpr int real = 1000;
// ext4 has 65,000 names for one file.
constexpr int links_of_one_file = 60'000;

host_options options_for(const fs::path& data) {
  return {.data = data, .kinds = {&counter()}, .sync = storage::durability::full};
}

// Each figure in a process of its own, so that none inherits another's memory.
std::vector<double> in_child(const std::function<std::vector<double>()>& measure) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("no pipe for a figure");
  const pid_t child = ::fork();
  if (child == 0) {
    const auto figures = measure();
    const auto size = figures.size() * sizeof(double);
    ::_exit(::write(ends[1], figures.data(), size) == static_cast<ssize_t>(size) ? 0 : 1);
  }
  ::close(ends[1]);
  std::vector<double> figures;
  double one = 0;
  while (::read(ends[0], &one, sizeof one) == sizeof one) figures.push_back(one);
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return figures;
}

void add_sleepers(const fs::path& data, int actors) {
  fs::path file;
  for (int i = real; i < actors; ++i) {
    const auto folder = data / counter_key(i).str();
    fs::create_directory(folder);
    if ((i - real) % links_of_one_file == 0) {
      file = folder / "actor.sqlite";
      fs::copy_file(data / counter_key(0).str() / "actor.sqlite", file);
    } else {
      fs::create_hard_link(file, folder / "actor.sqlite");
    }
  }
  storage::database directory(data / "host.sqlite", {.sync = storage::durability::normal});
  storage::transaction t(directory);
  directory.run(
      "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
      "INSERT INTO actors (key, kind, state, incarnation, turn, revision, created_at, last_active, run) "
      "SELECT 'counter/c' || n.i, kind, state, incarnation, turn, revision, created_at, last_active, run "
      "FROM n, actors WHERE key = 'counter/c0'",
      real, actors);
  t.commit();
}

reply read(host& h, int i) {
  return h.ask({.to = counter_key(i), .name = "counter.read", .body = json::object(), .principal = "me"});
}

double memory_of_a_server(const fs::path& data) {
  host h(options_for(data));
  h.start();
  read(h, 0);
  return resident_kb();
}

std::vector<double> wakes(const fs::path& data) {
  host h(options_for(data));
  h.start();
  std::vector<double> took;
  for (int i = 0; i < real; ++i) {
    const double at = seconds();
    if (!read(h, i).ok()) continue;
    took.push_back(seconds() - at);
  }
  return took;
}

// Every real actor has something under way that keeps it on the recovery list.
void be_killed_at_work(const fs::path& data) {
  host h(options_for(data));
  h.start();
  for (int i = 1; i < real; ++i)
    h.call({.to = counter_key(i),
            .id = fmt::format("{}-{}", i, seconds()),
            .name = "counter.pass",
            .body = {{"to", counter_key(0).str()}},
            .principal = "me"});
  ::kill(::getpid(), SIGKILL);
}

std::vector<double> start_after_kill(const fs::path& data) {
  const double begin = seconds();
  host h(options_for(data));
  h.start();
  const double healthy = seconds() - begin;
  while (h.stats().awake < real - 1 && seconds() - begin < 60)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return {healthy, seconds() - begin, static_cast<double>(h.stats().awake)};
}

}  // namespace

void crowd(const fs::path& parent, int actors) {
  folder dir(parent);
  const auto data = dir.path() / "data";
  in_child([&] {
    host h(options_for(data));
    h.start();
    open_counters(h, real);
    h.stop();
    return std::vector<double>{};
  });
  const auto few = in_child([&] { return std::vector{memory_of_a_server(data)}; });
  add_sleepers(data, actors);
  const auto many = in_child([&] { return std::vector{memory_of_a_server(data)}; });
  const auto woken = in_child([&] { return wakes(data); });
  in_child([&] {
    be_killed_at_work(data);
    return std::vector<double>{};
  });
  const auto started = in_child([&] { return start_after_kill(data); });
  if (few.empty() || many.empty() || started.size() != 3)
    throw std::runtime_error("a figure of the crowd is missing");
  fmt::print("\n{} actors on disk, {} of them real\n", actors, real);
  fmt::print("{:<52} {:>7.0f} KB {:>7.0f} KB {:>7.2f}\n", "memory of a server; with 1,000 actors; ratio",
             many[0], few[0], many[0] / few[0]);
  fmt::print("{:<52} {:>7.0f} us {:>7.0f} us  ({} wakes)\n", "a sleeping actor answers a query: median, p99",
             quantile(woken, 0.5) * 1e6, quantile(woken, 0.99) * 1e6, woken.size());
  fmt::print("{:<52} {:>7.1f} ms\n", "start after a kill: healthy", started[0] * 1e3);
  fmt::print("{:<52} {:>7.1f} ms  ({:.0f} actors)\n", "start after a kill: all that were awake are again",
             started[1] * 1e3, started[2]);
}

}  // namespace troupe::bench
