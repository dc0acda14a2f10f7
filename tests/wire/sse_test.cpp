#include "net/wire/sse.h"

#include <vector>

#include <doctest/doctest.h>

using namespace troupe::wire;

namespace {

std::vector<sse_event> parse_in_pieces(const std::string& bytes, std::size_t size) {
  std::vector<sse_event> out;
  sse_parser p;
  for (std::size_t at = 0; at < bytes.size(); at += size)
    REQUIRE(p.feed(std::string_view(bytes).substr(at, size), [&](sse_event&& e) {
      out.push_back(std::move(e));
      return true;
    }));
  return out;
}

}  // namespace

TEST_CASE("events are the same however their bytes are cut") {
  std::string bytes =
      "\xEF\xBB\xBF: hello\r\n\r\nid: 1\r\nevent: log\r\ndata: a\r\ndata:b\r\n\r\n"
      "data\n\nid: 2\n\ndata: x\rid:3\r\rdata: cut";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    auto events = parse_in_pieces(bytes, size);
    REQUIRE(events.size() == 3);
    CHECK(events[0].id == "1");
    CHECK(events[0].event == "log");
    CHECK(events[0].data == "a\nb");
    CHECK(events[1].data.empty());
    CHECK(events[2].id == "3");
    CHECK(events[2].data == "x");
  }
}

TEST_CASE("what is written is read back the same") {
  for (std::string data : {"", "one", "one\ntwo", "\n", "trailing\n", "{\"a\":\"b: c\"}", " space"}) {
    auto events = parse_in_pieces(format_event(data, "7", "x") + format_comment("ping"), 3);
    REQUIRE(events.size() == 1);
    CHECK(events[0].data == data);
    CHECK(events[0].id == "7");
    CHECK(events[0].event == "x");
  }
}

TEST_CASE("a line break in an id cannot begin another field") {
  CHECK(format_event("x", "1\ndata: forged") == "id: 1\ndata: x\n\n");
}

TEST_CASE("the last id counts from the end of its event, also without data") {
  sse_parser p;
  auto nothing = [](sse_event&&) { return true; };
  p.feed("id: 5\n", nothing);
  CHECK(p.last_event_id().empty());
  p.feed("\nretry: 250\n\n", nothing);
  CHECK(p.last_event_id() == "5");
  CHECK(p.retry_ms() == 250);
}

TEST_CASE("a reader that stops gets the rest with the next bytes") {
  sse_parser p;
  std::vector<std::string> seen;
  auto one = [&](sse_event&& e) {
    seen.push_back(e.data);
    return false;
  };
  REQUIRE(p.feed("data: 1\n\ndata: 2\n\n", one));
  CHECK(seen.size() == 1);
  REQUIRE(p.feed("data: 3\n\n", one));
  REQUIRE(p.feed("", one));
  CHECK(seen == std::vector<std::string>{"1", "2", "3"});
}

TEST_CASE("an event over the limit ends the stream") {
  sse_parser p(100);
  auto nothing = [](sse_event&&) { return true; };
  CHECK(p.feed("data: " + std::string(80, 'x') + "\n", nothing));
  CHECK(!p.feed("data: " + std::string(80, 'x') + "\n", nothing));
}
