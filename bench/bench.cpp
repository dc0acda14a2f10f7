// One table: what durable actors cost on this machine, each figure beside plain SQLite that writes the same
// rows with the same batching, page size and number of writers, in the same run.
//
//   troupe-bench --help
#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <atomic>
#include <cstdio>
#include <future>
#include <memory>
#include <optional>
#include <thread>

#include "bench/counter.h"
#include "bench/measure.h"
#include "runtime/host.h"

using namespace troupe;
using namespace troupe::bench;

namespace {

constexpr int writers = 16;  // threads of the runtime's scheduler, and of the plain loop over many files
constexpr int sleepers = 1000;

key counter_key(int i) {
  return key("counter/c" + std::to_string(i));
}

std::unique_ptr<host> serve(const std::filesystem::path& data, storage::durability sync) {
  auto h = std::make_unique<host>(host_options{.data = data, .kinds = {&counter()}, .sync = sync});
  h->start();
  return h;
}

void open_counters(host& h, int count) {
  std::atomic<int> left = count;
  std::promise<void> all;
  for (int i = 0; i < count; ++i)
    h.command_as_host(
        counter_key(i), "counter.open", json::object(), "open",
        [&](reply r) {
          if (!r.ok()) std::fprintf(stderr, "could not make a counter: %s\n", r.error().detail.c_str());
          if (--left == 0) all.set_value();
        },
        true);
  all.get_future().wait();
}

// Keeps a number of commands under way until the time is over.
class load {
 public:
  load(host& h, int actors, int in_flight, double seconds_each)
      : host_(h), actors_(actors), until_(seconds() + seconds_each) {
    begin_ = seconds();
    for (int i = 0; i < in_flight; ++i) send(i % actors);
    done_.get_future().wait();
    rate = static_cast<double>(answered_) / (seconds() - begin_);
    failed = failed_;
  }
  double rate = 0;
  long failed = 0;

 private:
  void send(int actor) {
    static std::atomic<std::int64_t> next = 0;
    ++under_way_;
    host_.command({.to = counter_key(actor),
                   .id = "b-" + std::to_string(++next),
                   .name = "counter.add",
                   .body = {{"n", 1}},
                   .principal = "me"},
                  [this, actor](reply r) {
                    r.ok() ? ++answered_ : ++failed_;
                    // One more before this one counts as over, so that the last to end is the last.
                    if (seconds() < until_) send(actor);
                    if (--under_way_ == 0) done_.set_value();
                  });
  }

  host& host_;
  int actors_;
  double begin_, until_;
  std::atomic<long> answered_ = 0, failed_ = 0, under_way_ = 0;
  std::promise<void> done_;
};

double plain_rate(const std::filesystem::path& dir, storage::durability sync, int files, int batch,
                  double seconds_each) {
  std::vector<std::unique_ptr<plain_counter>> all;
  for (int i = 0; i < files; ++i)
    all.push_back(std::make_unique<plain_counter>(dir / ("plain" + std::to_string(i) + ".sqlite"), sync));
  std::atomic<long> rows = 0;
  const double begin = seconds();
  auto work = [&](int first, int step) {
    long mine = 0;
    for (int i = first; seconds() - begin < seconds_each; i = i + step < files ? i + step : first) {
      all[static_cast<std::size_t>(i)]->turn(batch);
      mine += batch;
    }
    rows += mine;
  };
  std::vector<std::jthread> threads;
  const int count = std::min(writers, files);
  for (int t = 0; t < count; ++t) threads.emplace_back(work, t, count);
  threads.clear();
  return static_cast<double>(rows) / (seconds() - begin);
}

void throughput(const std::filesystem::path& parent, storage::durability sync, const char* word, int actors,
                int in_flight, double seconds_each) {
  folder dir(parent);
  double rate = 0, batch = 1;
  long failed = 0;
  {
    auto h = serve(dir.path() / "data", sync);
    open_counters(*h, actors);
    load(*h, actors, in_flight, seconds_each / 5);  // statements prepared, files grown
    auto before = h->stats();
    load measured(*h, actors, in_flight, seconds_each);
    auto after = h->stats();
    rate = measured.rate;
    failed = measured.failed;
    batch = static_cast<double>(after.commands - before.commands) /
            static_cast<double>(std::max<std::uint64_t>(1, after.turns - before.turns));
    h->stop();
  }
  double plain =
      plain_rate(dir.path(), sync, actors, std::max(1, static_cast<int>(batch + 0.5)), seconds_each);
  std::printf("%-8s %7d %10d %11.1f %14.0f %14.0f %7.2f%s\n", word, actors, in_flight, batch, rate, plain,
              rate / plain, failed ? "  (some failed)" : "");
  std::fflush(stdout);
}

// Sleeping actors: what waking one costs, and what awake ones hold in memory.
void waking(const std::filesystem::path& parent) {
  folder dir(parent);
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
                      .id = "w-" + std::to_string(seconds()),
                      .name = "counter.add",
                      .body = {{"n", 1}},
                      .principal = "me"});
    if (!r.ok()) std::fprintf(stderr, "not answered: %s\n", r.error().detail.c_str());
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

  std::printf("\n%-52s %10s %10s\n", "", "troupe", "plain");
  std::printf("%-52s %7.0f us %7.0f us\n", "first command of a sleeping actor, median",
              quantile(asleep, 0.5) * 1e6, quantile(opening, 0.5) * 1e6);
  std::printf("%-52s %7.0f us\n", "the same command of an awake one, median", quantile(awake, 0.5) * 1e6);
  std::printf("%-52s %7.0f KB %7.0f KB\n", "memory of an awake actor; of a bare connection", each, bare_each);
  std::printf("%-52s %7.1f ms\n", "start to first answer, 1,000 actors in the folder", healthy * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Durable commands a second, each figure beside plain SQLite that writes the same rows.\n\n"
               "example: troupe-bench --dir /var/tmp --seconds 2 --only full/1/64"};
  std::filesystem::path parent = std::filesystem::temp_directory_path();
  double seconds_each = 3;
  std::string only;
  app.add_option("--dir", parent, "a folder on the disk to measure")->check(CLI::ExistingDirectory);
  app.add_option("--seconds", seconds_each, "for each figure")->check(CLI::Range(0.1, 600.0));
  app.add_option("--only", only, "one row, SYNC/ACTORS/IN-FLIGHT, or `waking`");
  CLI11_PARSE(app, argc, argv);

  std::printf(
      "durable commands a second; plain: SQLite alone, same rows, batches, page size and writers\n\n");
  std::printf("%-8s %7s %10s %11s %14s %14s %7s\n", "sync", "actors", "in flight", "per commit", "troupe /s",
              "plain /s", "ratio");
  for (auto [sync, word] :
       {std::pair(storage::durability::full, "full"), {storage::durability::normal, "normal"}}) {
    for (auto [actors, in_flight] : {std::pair(1, 1), {1, 64}, {100, 400}, {1000, 4000}}) {
      const auto row = fmt::format("{}/{}/{}", word, actors, in_flight);
      if (only.empty() || only == row) throughput(parent, sync, word, actors, in_flight, seconds_each);
    }
  }
  if (only.empty() || only == "waking") waking(parent);
}
