// What must be true after any disaster: no prompt was lost, none reached its agent twice, and every
// transcript tells each turn whole and once.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "tests/cli/town.h"

using namespace troupe::cli::testing;

namespace {

int rounds(int usual, int nightly = 100) {
  return std::getenv("TROUPE_NIGHTLY") ? nightly : usual;
}

std::mt19937_64 dice() {
  const std::uint64_t seed = std::random_device()();
  MESSAGE("seed ", seed);
  return std::mt19937_64(seed);
}

using disaster = std::function<void(town&, std::mt19937_64&)>;

// The random instant at which something happens.
void let_it_work(std::mt19937_64& random) {
  const std::chrono::milliseconds instant(random() % 700);
  std::this_thread::sleep_for(instant);  // no wait for anything
}

// Prompts, a random instant, something terrible; again and again, and then everything is as if it had not
// been.
void live_through(town& t, int rounds, const std::vector<disaster>& disasters) {
  auto random = dice();
  for (int n = 0; n < rounds; ++n) {
    t.prompt(2 * n, random);
    t.answer_permissions();
    t.prompt(2 * n + 1, random);
    let_it_work(random);
    disasters[random() % disasters.size()](t, random);
    if (n % 3 == 2) t.settle();
  }
  t.settle();
  t.verify();
}

void kill_server(town& t, std::mt19937_64&) {
  t.kill_server();
}
void upgrade(town& t, std::mt19937_64& random) {
  t.upgrade(random);
}
void exhaust_memory(town& t, std::mt19937_64& random) {
  t.exhaust_memory(random);
}

}  // namespace

TEST_CASE(
    "killed and upgraded at random instants while agents work, processes print and shells wait, a server "
    "loses and "
    "repeats nothing, and nothing in a sandbox notices") {
  town t({.processes = true});
  live_through(t, rounds(18), {kill_server, kill_server, upgrade, exhaust_memory});
  t.verify_processes();
  t.clean_up();
}

TEST_CASE(
    "sandboxes that are lost or frozen, and the end of everything at once, leave every prompt told of once "
    "and nothing behind") {
  town t({});
  live_through(t, rounds(18),
               {[](town& it, auto& random) { it.lose_a_sandbox(random); },
                [](town& it, auto& random) {
                  it.freeze_a_sandbox(random);
                  let_it_work(random);
                  it.thaw();
                },
                [](town& it, auto& random) {
                  it.freeze_a_sandbox(random);
                  it.upgrade(random);
                  it.thaw();
                },
                [](town& it, auto&) { it.end_everything(); }, exhaust_memory});
  t.clean_up();
}

TEST_CASE(
    "with twenty agents in the middle of prompts, a killed and an upgraded server take up all of them") {
  town t({.tasks = 20, .processes = true});
  live_through(t, rounds(4, 25), {kill_server, upgrade});
  t.verify_processes();
  t.clean_up();
}

TEST_CASE("a full disk stops what needs it, and once there is room again every prompt is told of once") {
  if (::geteuid() != 0) {
    MESSAGE("[skipped] only root makes a small disk");
    return;
  }
  town t({.tasks = 2, .small_disk = true});
  live_through(t, rounds(4, 25), {[](town& it, auto& random) {
                 it.fill_disk();
                 it.prompt(1000 + static_cast<int>(random() % 1'000'000), random);
                 let_it_work(random);
                 it.empty_disk();
               }});
  t.clean_up();
}
