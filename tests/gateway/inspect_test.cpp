#include <doctest/doctest.h>

#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;

namespace {

const std::string note_commands = "/v1/actors/org/acme/note/n1/commands";

json read_json(const wire::response& r) {
  return json::parse(r.bytes());
}

}  // namespace

TEST_CASE("the inspector shows administrators what happened, and that is noted") {
  served s;
  s.post(note_commands + "/note.write", {{"text", "seen"}});
  auto actor = s.get("/v1/inspect/actors/org/acme/note/n1");
  REQUIRE(actor.status == 200);
  auto history = s.get("/v1/inspect/actors/org/acme/note/n1/history");
  REQUIRE(history.status == 200);
  CHECK(history.bytes().find("note.write") != std::string::npos);
  auto rows = s.post("/v1/inspect/actors/org/acme/note/n1/query", {{"sql", "SELECT text FROM t"}});
  REQUIRE(rows.status == 200);
  CHECK(read_json(rows)["rows"][0][0] == "seen");
  CHECK(s.post("/v1/inspect/actors/org/acme/note/n1/query", {{"sql", "DELETE FROM t"}}).status >= 400);
  CHECK(s.get("/v1/inspect/host").status == 403);
  CHECK(s.get("/v1/inspect/host", "root-token").status == 200);
  CHECK(s.get("/v1/inspect/actors").status == 403);
  CHECK(s.get("/v1/inspect/actors?prefix=org/acme").status == 200);
  CHECK(s.get("/v1/inspect/actors?prefix=org/other").status == 403);
  CHECK(s.get("/metrics").status == 403);
  CHECK(s.get("/metrics", "root-token").status == 200);
  std::lock_guard lock(s.looks_mutex);
  CHECK(s.looks.size() == 3);
  CHECK(s.looks.front() == "ada org/acme/note/n1 history");
}

TEST_CASE("administrators of an organization look into the past of what is below it, and into nothing else") {
  served s;
  const std::string at = "/v1/inspect/actors/org/acme/note/n1";
  s.post(note_commands + "/note.write", {{"text", "one"}});
  s.post(note_commands + "/note.write", {{"text", "two"}});
  const auto newest = read_json(s.get(at + "/history?newest=true&limit=1"))["history"][0];
  const auto turn = newest["turn"].get<int>();
  const auto range = "from=" + std::to_string(turn - 1) + "&to=" + std::to_string(turn);
  CHECK(read_json(s.get(at + "/diff?" + range))["changes"] == newest["changes"]);
  CHECK(read_json(s.get(at + "/at?turn=" + std::to_string(turn - 1)))["tables"].dump().find("one") !=
        std::string::npos);
  const auto table = newest["changes"][0][1].get<std::string>(), row = newest["changes"][0][2].dump();
  CHECK(read_json(s.get(at + "/why?table=" + table +
                        "&row=" + wire::percent_encode(row)))["changes"][0]["seq"] == newest["seq"]);
  CHECK(read_json(s.get(at + "/queue"))["queue"].empty());

  CHECK(s.get(at + "/at").status == 400);
  CHECK(s.get(at + "/at?turn=999999").status == 422);
  CHECK(s.get(at + "/diff?from=1").status == 400);
  for (const auto* what : {"/at?turn=1", "/diff?from=0&to=1", "/why?table=t&row=1", "/queue"}) {
    CHECK_MESSAGE(s.get(at + what, "vic-token").status == 403, what);
    CHECK_MESSAGE(s.get(at + what, "bob-token").status == 404, what);
  }
  for (const auto* what : {"outbox", "effects", "feeds", "timers", "dead", "graph"}) {
    const auto path = std::string("/v1/inspect/") + what;
    CHECK_MESSAGE(s.get(path + "?below=org/acme").status == 200, what);
    CHECK_MESSAGE(s.get(path).status == 403, what);
    CHECK_MESSAGE(s.get(path + "?below=org/ac").status == 403, what);
    CHECK_MESSAGE(s.get(path + "?below=org/acme", "vic-token").status == 403, what);
    CHECK_MESSAGE(s.get(path, "root-token").status == 200, what);
  }
  CHECK(s.post(at + "/dead", {{"id", 1}, {"do", "retry"}}).status == 404);
  CHECK(s.post(at + "/dead", {{"id", 1}}).status == 422);
  CHECK(s.post(at + "/dead", {{"id", 1}, {"do", "drop"}}, "vic-token").status == 403);
}

TEST_CASE("a quarantined actor is released by an administrator, one that is not is told as such") {
  served s;
  auto retry = [&](const std::string& key, const std::string& token) {
    wire::request r;
    r.method = "POST";
    r.target = "/v1/inspect/actors/" + key + "/retry";
    return s.send(std::move(r), token);
  };
  CHECK(retry("org/acme/note/n1", "vic-token").status == 403);
  CHECK(retry("org/acme/note/n1", "bob-token").status == 404);
  CHECK(retry("org/acme/note/none", "root-token").status == 404);
  CHECK(read_json(retry("org/acme/note/n1", "root-token"))["released"] == false);
}
