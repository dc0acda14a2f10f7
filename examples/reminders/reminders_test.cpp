#include "reminders/reminders.h"

#include <doctest/doctest.h>

#include "runtime/testing/actor_in_memory.h"

using namespace troupe;
using namespace troupe::testing;
using namespace std::chrono_literals;

TEST_CASE("reminders ring in the order in which they are due") {
  actor_in_memory mine(reminders::list(), "list/mine");
  mine.apply("list.remind", {{"text", "later"}, {"in_ms", 60'000}});
  mine.apply("list.remind", {{"text", "soon"}, {"in_ms", 1000}});
  CHECK(mine.timers().size() == 2);

  CHECK(mine.advance(1s).size() == 1);
  CHECK(mine.snapshot()["rang"][0]["text"] == "soon");
  CHECK(mine.advance(58s).empty());
  CHECK(mine.advance(1s).size() == 1);
  CHECK(mine.snapshot()["waiting"].empty());
}

TEST_CASE("what is forgotten does not ring, and what rang cannot be forgotten") {
  actor_in_memory mine(reminders::list(), "list/mine");
  const auto first = mine.apply("list.remind", {{"text", "a"}, {"in_ms", 1000}}).reply.result()["id"];
  const auto second = mine.apply("list.remind", {{"text", "b"}, {"in_ms", 2000}}).reply.result()["id"];
  CHECK(mine.apply("list.forget", {{"id", first}}).reply.ok());
  CHECK(mine.advance(1h).size() == 1);
  CHECK(mine.apply("list.forget", {{"id", second}}).reply.problem().code == "not_found");
}

TEST_CASE("a body that does not fit is told what would") {
  actor_in_memory mine(reminders::list(), "list/mine");
  CHECK(mine.apply("list.remind", {{"text", ""}, {"in_ms", 1}}).reply.problem().code == "invalid_body");
}
