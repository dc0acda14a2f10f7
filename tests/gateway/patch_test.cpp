// Snapshots by patches: what results is what a whole snapshot says, and its hash proves it.
#include <set>

#include <doctest/doctest.h>

#include "net/gateway/canonical.h"
#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway;
using namespace troupe::gateway::testing;

namespace {

const std::string patched = "/v1/actors/org/acme/note/n1";
const std::string patched_topic = "org/acme/note/n1";

// Long enough that a patch pays.
void write_long(served& s) {
  REQUIRE(s.post(patched + "/commands/note.write", {{"text", std::string(2000, 'x')}}).status == 200);
}
void count_up(served& s) {
  REQUIRE(s.post(patched + "/commands/note.add", {{"count", 1}, {"write", true}}).status == 200);
}
json whole(served& s) {
  return json::parse(s.get(patched + "/snapshot").bytes());
}

}  // namespace

TEST_CASE("the canonical form is that of RFC 8785") {
  auto same = [](const char* text, const char* wanted) { CHECK(canonical(json::parse(text)) == wanted); };
  same(R"({"b":1,"a":[true,false,null,{}],"":"x"})", R"({"":"x","a":[true,false,null,{}],"b":1})");
  // The RFC's own example of sorting: by UTF-16 units.
  same(R"({"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7})",
       "{\"\\r\":2,\"1\":4,\"\xC2\x80\":6,\"\xC3\xB6\":7,\"\xE2\x82\xAC\":1,\"\xF0\x9F\x98\x80\":5,"
       "\"\xEF\xAC\xB3\":3}");
  same(R"("€$\u000F\nA'B\"\\\\\"\/")", "\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"");
  // Numbers as the RFC lists them.
  same("[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]",
       "[333333333.3333333,1e+30,4.5,0.002,1e-27]");
  same(
      "[0.0,-0.0,5e-324,-1.7976931348623157e308,9007199254740992.0,295147905179352830000.0,1e21,1e-6,1e-7,1."
      "5,-12.0]",
      "[0,0,5e-324,-1.7976931348623157e+308,9007199254740992,295147905179352830000,1e+21,0.000001,1e-7,1.5,-"
      "12]");
}

TEST_CASE("a subscriber by patches pieces together what a whole snapshot says") {
  served s;
  write_long(s);
  talker t(s);
  CHECK(t.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", patched_topic}, {"mode", "patch"}})["ok"] == true);
  auto first = t.hear("snapshot");
  auto held = first["data"];
  auto at = first["revision"];
  for (int i = 0; i < 5; ++i) {
    count_up(s);
    auto frame = t.hear("patch");
    CHECK(frame["topic"] == patched_topic);
    CHECK(frame["incarnation"] == first["incarnation"]);
    CHECK(frame["from"] == at);
    held = held.patch(frame["patch"]);
    at = frame["revision"];
    CHECK(frame["hash"] == content_hash(held));
    CHECK(held == whole(s));
  }
}

TEST_CASE("what a patch would not make shorter comes whole, and so does what follows a lost base") {
  served s;
  write_long(s);
  talker t(s);
  t.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", patched_topic}, {"mode", "patch"}});
  auto first = t.hear("snapshot");
  REQUIRE(s.post(patched + "/commands/note.write", {{"text", std::string(2000, 'y')}}).status == 200);
  auto other = t.hear();
  CHECK(other["op"] == "snapshot");
  CHECK(other["data"] == whole(s));
  // Another connection says what it has: nothing comes until something changes, and then the whole.
  talker again(s);
  json have{{"incarnation", other["incarnation"]}, {"revision", other["revision"]}};
  again.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", patched_topic}, {"mode", "patch"}, {"have", have}});
  count_up(s);
  auto next = again.hear();
  CHECK(next["op"] == "snapshot");
  CHECK(next["data"]["n"] == whole(s)["n"]);
  CHECK(t.hear("patch")["from"] == other["revision"]);
}

TEST_CASE("who asked for snapshots is sent no patches") {
  served s;
  write_long(s);
  talker t(s);
  t.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", patched_topic}});
  t.hear("snapshot");
  count_up(s);
  CHECK(t.hear()["op"] == "snapshot");
}
