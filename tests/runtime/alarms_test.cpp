#include "runtime/alarms.h"

#include <doctest/doctest.h>

#include "runtime/testing/manual.h"
#include "runtime/work.h"

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

namespace {

class silent_sink final : public work_sink {
 public:
  void arrive(outcome_item i) override { outcomes.push_back(std::move(i)); }
  void arrive(batch_item) override {}
  void arrive(feed_end_item) override {}
  void later(std::function<void()> f) override { f(); }
  std::vector<outcome_item> outcomes;
};

struct ticking {
  manual_clock time;
  manual_scheduler threads{time};
  alarms alarm{threads, time, [] {}};
  ticking() { alarm.start(); }
};

}  // namespace

TEST_CASE("a cancelled alarm does not ring and frees what it holds at once") {
  ticking t;
  const auto held = std::make_shared<int>(0);
  const auto ticket = t.alarm.after(1h, [held] { ++*held; });
  t.alarm.after(2s, [held] { *held += 10; });
  CHECK(held.use_count() == 3);
  t.alarm.cancel(ticket);
  CHECK(held.use_count() == 2);
  t.threads.advance(2h);
  CHECK(*held == 10);
  CHECK(held.use_count() == 1);
  t.alarm.cancel(ticket);
  CHECK(t.alarm.waiting() == 0);
}

TEST_CASE("the deadline of an effect that ended, was tried again or lost its actor waits no longer") {
  ticking t;
  std::map<std::string, effect_kind, std::less<>> effects;
  std::map<std::string, feed_kind, std::less<>> feeds;
  std::vector<std::shared_ptr<effect_run>> begun;
  effects["fetch"] = {.name = "fetch", .start = [&](auto run) { begun.push_back(run); }};
  const auto sink = std::make_shared<silent_sink>();
  auto w = std::make_unique<work>(key("bank/b"), work::drivers{effects, feeds, t.alarm, t.time, 4}, sink);
  const auto ask = [&](const std::string& id, std::uint64_t number) {
    effect_row row;
    row.id = id;
    row.number = number;
    row.kind = "fetch";
    row.deadline = to_ms(t.time.now() + 1h);
    w->add(row, false);
    w->pump();
  };
  ask("one", 1);
  REQUIRE(begun.size() == 1);
  CHECK(t.alarm.waiting() == 1);
  begun[0]->succeed(json::object());
  REQUIRE(sink->outcomes.size() == 1);
  w->done("one");
  CHECK(t.alarm.waiting() == 0);

  ask("two", 2);
  begun[1]->fail(problem{503, "busy", ""}, true);
  CHECK(t.alarm.waiting() == 1);  // the pause before the next try
  t.threads.advance(1s);
  REQUIRE(begun.size() == 3);
  CHECK(t.alarm.waiting() == 1);  // its new deadline
  w.reset();
  CHECK(t.alarm.waiting() == 0);
}
