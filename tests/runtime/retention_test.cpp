// Bounded disk for bounded work: what an actor keeps of its past does not grow with what it has done.
#include <doctest/doctest.h>

#include "runtime/inspect.h"
#include "tests/runtime/world.h"

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr std::string_view whatever = R"({"type":"object"})";
constexpr storage::migration meter_tables[] = {
    {1,
     "CREATE TABLE meter (id INTEGER PRIMARY KEY CHECK (id = 1), reading INTEGER NOT NULL); INSERT INTO "
     "meter VALUES (1, 0);"}};
constexpr schema_file meter_schemas[] = {{"meter.make.body.json", whatever},
                                         {"meter.read.body.json", whatever},
                                         {"meter.read.result.json", whatever}};

answer make_meter(turn&, const json&) {
  return done();
}

answer read_meter(turn& t, const json& body) {
  t.run("UPDATE meter SET reading = ?", body["n"].get<std::int64_t>());
  t.append("readings", body);
  return body;
}

const kind& meter() {
  static const kind k{.name = "meter",
                      .schema = {meter_tables, meter_schemas},
                      .commands = {{"meter.make", from::host(), lane::interactive, make_meter, {}, true},
                                   {"meter.read", from::client("member"), lane::interactive, read_meter}},
                      .streams = {{"readings", "viewer", 300}}};
  return k;
}

}  // namespace

TEST_CASE(
    "ten times as many commands take no more disk once history, row changes and streams are at their "
    "bounds") {
  constexpr std::int64_t kept = 300;
  world w([](host_options& o) {
    o.kinds.push_back(&meter());
    o.limits.remember_commands = std::chrono::hours(0);
    o.limits.remember_commands_at_least = static_cast<std::size_t>(kept);
  });
  const key mine("meter/mine");
  w.as_host(mine.str(), "meter.make", json::object(), "make", true);
  const inspector i(*w.is);
  std::int64_t n = 0;
  const auto work = [&](std::int64_t until) {
    for (; n < until; ++n) {
      REQUIRE(w.command(mine.str(), "meter.read", {{"n", n}, {"by", std::string(100, 'x')}}).ok());
      w.time.advance(std::chrono::milliseconds(1));
    }
  };
  const auto number = [&](std::string_view sql) {
    return std::get<json>(i.query(mine, sql))["rows"][0][0].get<std::int64_t>();
  };

  work(1'000);
  const auto pages = number("PRAGMA page_count");
  work(10'000);
  CHECK(number("PRAGMA page_count") <= pages + pages / 10);
  // The bounds themselves, with what accumulates between two looks.
  CHECK(number("SELECT count(*) FROM rt_inbox") <= kept + 256);
  CHECK(number("SELECT count(*) FROM rt_changes") <= kept + 256);
  CHECK(number("SELECT count(*) FROM rt_entries") <= 300 + 64);
  // What is kept is the newest, and can still be told.
  CHECK(std::get<json>(
            i.at(mine, static_cast<std::uint64_t>(number("SELECT turn FROM rt_meta") - kept)))["tables"]
            .contains("meter"));
}
