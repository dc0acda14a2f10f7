// One table: what durable actors cost on this machine, each figure beside plain SQLite that writes the same
// rows with the same batching, page size and number of files, in the same run.
//
//   troupe-bench --help
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/counter.h"
#include "bench/crowd.h"
#include "bench/lanes.h"
#include "bench/load.h"
#include "bench/measure.h"

using namespace troupe;
using namespace troupe::bench;

namespace {

constexpr int sleepers = 1000;

struct options {
  std::filesystem::path parent = std::filesystem::temp_directory_path();
  double seconds_each = 1;
  int runs = 5;
  std::string only;

  int crowd = 1'000'000;

  bool wants(const std::string& row) const { return only.empty() || row.starts_with(only); }
};

std::unique_ptr<host> serve(const std::filesystem::path& data, storage::durability sync,
                            bool recording = true) {
  auto h = std::make_unique<host>(host_options{.data = data, .kinds = {&counter(recording)}, .sync = sync});
  h->start();
  return h;
}

/// Many files written by some threads, each its own share of them, a batch at a time.
class plain {
 public:
  plain(const std::filesystem::path& dir, storage::durability sync, int files, bool recording) {
    for (int i = 0; i < files; ++i)
      files_.push_back(
          std::make_unique<plain_counter>(dir / fmt::format("plain{}.sqlite", i), sync, recording));
  }

  double rate(int threads, int batch, double for_seconds, std::vector<double>* took = nullptr) {
    const int files = static_cast<int>(files_.size());
    const int count = std::min(threads, files);
    std::atomic<long> rows = 0;
    const double begin = seconds();
    auto work = [&](int first) {
      long mine = 0;
      double now = begin;
      for (int i = first; now - begin < for_seconds; i = i + count < files ? i + count : first) {
        files_[static_cast<std::size_t>(i)]->turn(batch);
        mine += batch;
        const double then = std::exchange(now, seconds());
        if (took) took->push_back(now - then);
      }
      rows += mine;
    };
    std::vector<std::jthread> all;
    for (int t = 0; t < count; ++t) all.emplace_back(work, t);
    all.clear();
    return static_cast<double>(rows) / (seconds() - begin);
  }

 private:
  std::vector<std::unique_ptr<plain_counter>> files_;
};

std::string with_spread(const std::vector<double>& values) {
  const auto [least, most] = std::ranges::minmax(values);
  return fmt::format("{:.0f} ({:.0f}-{:.0f})", quantile(values, 0.5), least, most);
}

/// Ours and plain SQLite in turns, so that what else the machine does falls on both.
void throughput(const options& o, storage::durability sync, const char* word, int actors, int in_flight,
                bool recording) {
  folder dir(o.parent);
  auto h = serve(dir.path() / "data", sync, recording);
  open_counters(*h, actors);
  load(*h, actors, in_flight, o.seconds_each / 5);  // statements prepared, files grown
  plain beside(dir.path(), sync, actors, recording);
  beside.rate(2, 1, o.seconds_each / 5);

  std::vector<double> ours, theirs, our_took, their_took;
  double batch = 1;
  long failed = 0;
  for (int i = 0; i < o.runs; ++i) {
    const auto before = h->stats();
    load measured(*h, actors, in_flight, o.seconds_each);
    const auto after = h->stats();
    ours.push_back(measured.rate);
    our_took.insert(our_took.end(), measured.took.begin(), measured.took.end());
    failed += measured.failed;
    batch = static_cast<double>(after.commands - before.commands) /
            static_cast<double>(std::max<std::uint64_t>(1, after.turns - before.turns));
    const int rows = std::max(1, static_cast<int>(batch + 0.5));
    const double two = beside.rate(2, rows, o.seconds_each, in_flight == 1 ? &their_took : nullptr);
    const double many = actors > 2 ? beside.rate(16, rows, o.seconds_each) : 0;
    theirs.push_back(std::max(two, many));
  }
  h->stop();
  fmt::print("{:<7} {:>6} {:>9} {:>9} {:>10.1f} {:>24} {:>24} {:>6.2f}{}\n", word, actors, in_flight,
             recording ? "on" : "off", batch, with_spread(ours), with_spread(theirs),
             quantile(ours, 0.5) / quantile(theirs, 0.5), failed ? "  (some failed)" : "");
  if (in_flight == 1)
    fmt::print("{:>56} {:>21.0f} us {:>21.0f} us {:>6.2f}\n", "p50", quantile(our_took, 0.5) * 1e6,
               quantile(their_took, 0.5) * 1e6, quantile(our_took, 0.5) / quantile(their_took, 0.5));
  std::fflush(stdout);
}

/// Durable messages from one actor to another, beside single durable commands of the same run.
void messages(const options& o) {
  folder dir(o.parent);
  auto h = serve(dir.path() / "data", storage::durability::full);
  open_counters(*h, 2);
  std::vector<double> direct, passed;
  for (int i = 0; i < o.runs; ++i) {
    direct.push_back(load(*h, 1, 1, o.seconds_each).rate);
    passed.push_back(pass_along(*h, o.seconds_each));
  }
  h->stop();
  fmt::print("{:<52} {:>10} {:>10} {:>7.2f}\n", "actor to actor, both durable, a second; of single commands",
             with_spread(passed), with_spread(direct), quantile(passed, 0.5) / quantile(direct, 0.5));
}

/// Whether a command costs more when the actor has a long history.
void history(const options& o) {
  folder dir(o.parent);
  auto h = serve(dir.path() / "data", storage::durability::normal);
  open_counters(*h, 1);
  load(*h, 1, 64, o.seconds_each);
  const auto young = load(*h, 1, 64, o.seconds_each).rate;
  const auto began = h->stats().commands;
  while (h->stats().commands - began < 1'000'000) load(*h, 1, 64, o.seconds_each);
  const auto old = load(*h, 1, 64, o.seconds_each).rate;
  h->stop();
  fmt::print("{:<52} {:>10.0f} {:>10.0f} {:>7.2f}\n", "commands a second, normal: young; after 1,000,000",
             young, old, old / young);
}

// Sleeping actors: what waking one costs, and what awake ones hold in memory.
void waking(const options& o) {
  folder dir(o.parent);
  {
    auto h = serve(dir.path() / "data", storage::durability::full);
    open_counters(*h, sleepers);
    h->stop();
  }
  double begin = seconds();
  auto h = serve(dir.path() / "data", storage::durability::full);
  auto ask = [&](int i) {
    double at = seconds();
    auto r = h->call({.to = counter_key(i),
                      .id = fmt::format("w-{}", seconds()),
                      .name = "counter.add",
                      .body = {{"n", 1}},
                      .principal = "me"});
    if (!r.ok()) fmt::print(stderr, "not answered: {}\n", r.error().detail);
    return seconds() - at;
  };
  ask(0);
  const double healthy = seconds() - begin;
  const double memory = resident_kb();
  std::vector<double> asleep, awake;
  for (int i = 1; i < sleepers; ++i) asleep.push_back(ask(i));
  const double each = (resident_kb() - memory) / (sleepers - 1);
  for (int i = 1; i < sleepers; ++i) awake.push_back(ask(i));
  h->stop();
  h.reset();

  const double before = resident_kb();
  std::vector<std::unique_ptr<plain_counter>> bare;
  std::vector<double> opening;
  for (int i = 1; i < sleepers; ++i) {
    double at = seconds();
    bare.push_back(std::make_unique<plain_counter>(
        dir.path() / "data" / "counter" / ("c" + std::to_string(i)) / "actor.sqlite",
        storage::durability::full));
    bare.back()->turn(1);
    opening.push_back(seconds() - at);
  }
  const double bare_each = (resident_kb() - before) / (sleepers - 1);

  fmt::print("{:<52} {:>7.0f} us {:>7.0f} us {:>7.2f}\n", "first command of a sleeping actor, median",
             quantile(asleep, 0.5) * 1e6, quantile(opening, 0.5) * 1e6,
             quantile(asleep, 0.5) / quantile(opening, 0.5));
  fmt::print("{:<52} {:>7.0f} us {:>7.0f} us\n", "first command of a sleeping actor, p99",
             quantile(asleep, 0.99) * 1e6, quantile(opening, 0.99) * 1e6);
  fmt::print("{:<52} {:>7.0f} us\n", "the same command of an awake one, median", quantile(awake, 0.5) * 1e6);
  fmt::print("{:<52} {:>7.0f} KB {:>7.0f} KB {:>7.2f}\n", "memory of an awake actor; of a bare connection",
             each, bare_each, each / bare_each);
  fmt::print("{:<52} {:>7.1f} ms\n", "start to first answer, 1,000 actors in the folder", healthy * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Durable commands a second, each figure beside plain SQLite that writes the same rows: medians of "
      "interleaved runs, with the least and the most.\n\n"
      "examples:\n  troupe-bench --dir /var/tmp\n  troupe-bench --only full/1/64 --runs 9"};
  options o;
  app.add_option("--dir", o.parent, "a folder on the disk to measure")->check(CLI::ExistingDirectory);
  app.add_option("--seconds", o.seconds_each, "of each run")
      ->check(CLI::Range(0.1, 600.0))
      ->capture_default_str();
  app.add_option("--runs", o.runs, "of each figure")->check(CLI::Range(1, 99))->capture_default_str();
  app.add_option(
      "--only", o.only,
      "rows that begin so: SYNC/ACTORS/IN-FLIGHT/RECORDING, messages, history, waking, crowd, lanes");
  app.add_option("--crowd", o.crowd, "sleeping actors on disk; about 4.5 KB of disk each")
      ->check(CLI::Range(2000, 10'000'000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  fmt::print("{:<7} {:>6} {:>9} {:>9} {:>10} {:>24} {:>24} {:>6}\n", "sync", "actors", "in flight",
             "recording", "per commit", "troupe /s", "plain SQLite /s", "ratio");
  for (auto [sync, word] :
       {std::pair(storage::durability::full, "full"), {storage::durability::normal, "normal"}}) {
    for (auto [actors, in_flight] : {std::pair(1, 1), {1, 64}, {100, 64}, {1000, 64}, {1000, 4000}}) {
      for (const bool recording : {true, false}) {
        const auto row = fmt::format("{}/{}/{}/{}", word, actors, in_flight, recording ? "on" : "off");
        if (o.wants(row)) throughput(o, sync, word, actors, in_flight, recording);
      }
    }
  }
  if (o.wants("messages") || o.wants("history") || o.wants("waking"))
    fmt::print("\n{:<52} {:>10} {:>10} {:>7}\n", "", "troupe", "plain", "ratio");
  if (o.wants("messages")) messages(o);
  if (o.wants("history")) history(o);
  if (o.wants("waking")) waking(o);
  if (o.wants("crowd")) crowd(o.parent, o.crowd);
  if (o.wants("lanes")) lanes(o.parent);
}
