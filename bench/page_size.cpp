// What 1, 2 and 4 KiB pages cost an actor's file: memory, disk, turns, waking. The table in
// docs/performance.md comes from this program.
//
//   page-size [DIR] [SECONDS]     DIR on the disk to measure; about 12 × SECONDS
#include <array>
#include <cstdio>
#include <memory>

#include "bench/measure.h"
#include "runtime/tables.h"
#include "storage/changes.h"
#include "storage/database.h"

using namespace troupe;
using namespace troupe::storage;

namespace {

constexpr int awake = 500;
constexpr std::array own_tables{migration{
    1,
    "CREATE TABLE state(id INTEGER PRIMARY KEY CHECK (id = 1), title TEXT NOT NULL, status TEXT NOT NULL, n "
    "INTEGER);"
    "CREATE TABLE task(id TEXT PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL, updated_at INTEGER) "
    "WITHOUT ROWID;"
    "CREATE INDEX task_updated ON task(updated_at);"
    "CREATE TABLE member(user TEXT PRIMARY KEY, role TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE repository(id TEXT PRIMARY KEY, url TEXT NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;"
    "INSERT INTO state VALUES(1, 'a task', 'idle', 0)"}};

struct recorder final : change_recorder {
  bool wants(std::string_view table) override { return !table.starts_with("rt_"); }
};

// A file as an actor has it, and turns as an actor makes them: savepoint, own rows, history, entry, changes.
struct actor {
  recorder changes;
  database db;
  std::int64_t number = 0;

  actor(const std::filesystem::path& file, int page_size, durability sync)
      : db(file, {.sync = sync, .page_size = page_size}) {
    const std::array schemas{schema{"runtime", runtime_tables()}, schema{"own", own_tables}};
    db.migrate(schemas);
    db.record_changes(&changes);
    number = db.one<std::int64_t>("SELECT max(seq) FROM rt_inbox").value_or(0);
  }

  void turn(int commands) {
    static const std::string body(200, 'b');
    changes.clear();
    db.begin();
    for (int i = 0; i < commands; ++i) {
      ++number;
      auto id = std::to_string(number);
      db.savepoint();
      db.run("UPDATE state SET n = n + 1, title = ?", id);
      db.run("INSERT OR REPLACE INTO task VALUES(?, 'a title of a task', 'idle', ?)",
             std::to_string(number % 100), number);
      db.run("INSERT INTO rt_entries(stream, seq, turn, time, data) VALUES('transcript', ?, ?, 0, ?)", number,
             number, body);
      db.run(
          "INSERT INTO rt_inbox(seq, turn, time, source, sender, principal, id, name, body, ok, result, "
          "duration_us, "
          "changes_at, changes_end) VALUES(?, ?, 0, 0, 'client', 'owner', ?, 'task.rename', ?, 1, '{}', 10, "
          "0, 0)",
          number, number, id, body);
      db.release();
    }
    db.run("INSERT INTO rt_changes(turn, data) VALUES(?, ?)", number, as_blob(changes.sequence()));
    db.commit();
  }
};

// One page size in one run. Short rounds of the sizes alternate and medians are kept, since a machine with
// other work on it has slow minutes.
struct candidate {
  explicit candidate(const std::filesystem::path& parent, int size)
      : page_size(size), dir(parent), timed(file("timed"), size, durability::full) {}

  std::filesystem::path file(const std::string& name) const { return dir.path() / (name + ".sqlite"); }

  void turns(int commands, double seconds_each, std::vector<double>& each) {
    double end = bench::seconds() + seconds_each;
    for (double begin = bench::seconds(), now; begin < end; begin = now) {
      timed.turn(commands);
      now = bench::seconds();
      each.push_back((now - begin) / commands);
    }
  }

  void measure_files() {
    double before = bench::written_bytes();
    for (int i = 0; i < 500; ++i) timed.turn(1);
    bytes_each = (bench::written_bytes() - before) / 500;
    { actor a(file("fresh"), page_size, durability::full); }
    fresh_size = static_cast<double>(std::filesystem::file_size(file("fresh")));
    for (int i = 0; i < awake; ++i) actor(file(std::to_string(i)), page_size, durability::normal).turn(16);
  }

  void measure_memory() {
    std::vector<std::unique_ptr<actor>> all;
    double before = bench::resident_kb();
    for (int i = 0; i < awake; ++i) {
      all.push_back(std::make_unique<actor>(file(std::to_string(i)), page_size, durability::normal));
      all.back()->turn(1);
    }
    after_turn = (bench::resident_kb() - before) / awake;
    for (auto& a : all) a->db.shrink();
    idle = (bench::resident_kb() - before) / awake;
  }

  void wake_some(int first, int count) {
    for (int i = first; i < first + count; ++i) {
      double begin = bench::seconds();
      actor a(file(std::to_string(i)), page_size, durability::normal);
      wake.push_back(bench::seconds() - begin);
    }
  }

  void big_value() {
    actor a(file("big"), page_size, durability::normal);
    const std::string value(8 * 1024 * 1024, 'v');
    a.db.run("DELETE FROM rt_entries");
    double begin = bench::seconds();
    a.db.run("INSERT INTO rt_entries(stream, seq, turn, time, data) VALUES('big', 1, 1, 0, ?)", value);
    write_big.push_back(bench::seconds() - begin);
    begin = bench::seconds();
    a.db.one<std::string>("SELECT data FROM rt_entries WHERE stream='big'");
    read_big.push_back(bench::seconds() - begin);
  }

  int page_size;
  bench::folder dir;
  actor timed;
  std::vector<double> one{}, sixty_four{}, wake{}, write_big{}, read_big{};
  double bytes_each = 0, fresh_size = 0, after_turn = 0, idle = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::path parent = argc > 1 ? argv[1] : std::filesystem::temp_directory_path();
  double seconds_each = argc > 2 ? std::atof(argv[2]) : 2;
  std::vector<std::unique_ptr<candidate>> all;
  for (int page_size : {1024, 2048, 4096}) all.push_back(std::make_unique<candidate>(parent, page_size));
  constexpr int rounds = 10;
  for (auto& c : all) c->measure_files();
  for (int round = 0; round < rounds; ++round)
    for (auto& c : all) {
      c->turns(1, seconds_each / rounds / 2, c->one);
      c->turns(64, seconds_each / rounds / 2, c->sixty_four);
      c->wake_some(round * awake / rounds, awake / rounds);
      if (round < 3) c->big_value();
    }
  for (auto& c : all) c->measure_memory();
  std::printf(
      "page bytes  turn of 1 us  turn of 64 us/command  KiB written/turn  new file KiB  KB awake  KB idle  "
      "wake us  "
      "8 MiB write ms  read ms\n");
  for (auto& c : all)
    std::printf("%10d %13.0f %22.1f %17.1f %13.0f %9.0f %8.0f %8.0f %15.0f %8.0f\n", c->page_size,
                bench::quantile(c->one, 0.5) * 1e6, bench::quantile(c->sixty_four, 0.5) * 1e6,
                c->bytes_each / 1024, c->fresh_size / 1024, c->after_turn, c->idle,
                bench::quantile(c->wake, 0.5) * 1e6, bench::quantile(c->write_big, 0.5) * 1e3,
                bench::quantile(c->read_big, 0.5) * 1e3);
}
