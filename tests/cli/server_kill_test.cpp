// What must be true after any disaster: no prompt was lost, none reached its agent twice, and every
// transcript tells each turn whole and once.
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include "tests/cli/town.h"

using namespace troupe::cli::testing;

namespace {

int rounds(int usual) {
  return std::getenv("TROUPE_NIGHTLY") ? 100 : usual;
}

std::mt19937_64 dice() {
  const std::uint64_t seed = std::random_device()();
  MESSAGE("seed ", seed);
  return std::mt19937_64(seed);
}

// The random instant at which something happens.
void let_it_work(std::mt19937_64& random) {
  const std::chrono::milliseconds instant(random() % 700);
  std::this_thread::sleep_for(instant);  // no wait for anything
}

}  // namespace

TEST_CASE(
    "killed at random instants while agents work, a server loses no prompt, repeats none, and its "
    "transcripts are whole") {
  auto random = dice();
  town t(4);
  for (int n = 0; n < rounds(12); ++n) {
    t.prompt(2 * n, random);
    t.answer_permissions();
    t.prompt(2 * n + 1, random);
    let_it_work(random);
    t.kill();
    t.start();
  }
  t.settle();
  t.verify();
  t.clean_up();
}

TEST_CASE(
    "sandboxes that are lost or frozen, and the end of everything at once, leave every prompt told of once "
    "and nothing behind") {
  auto random = dice();
  town t(4);
  for (int n = 0; n < rounds(12); ++n) {
    t.prompt(2 * n, random);
    t.answer_permissions();
    t.prompt(2 * n + 1, random);
    let_it_work(random);
    switch (random() % 4) {
      case 0:
        t.lose_a_sandbox(random);
        break;
      case 1:
        t.freeze_a_sandbox(random);
        let_it_work(random);
        t.thaw();
        break;
      case 2:
        t.freeze_a_sandbox(random);
        t.kill();
        t.start();
        t.thaw();
        break;
      default:
        t.end_everything();
        t.start();
    }
    if (n % 3 == 2) t.settle();
  }
  t.settle();
  t.verify();
  t.clean_up();
}
