#include <set>

#include <doctest/doctest.h>

#include "tests/gateway/kit.h"

using namespace troupe;
using namespace troupe::gateway::testing;
using namespace std::chrono_literals;

namespace {

const std::string note = "/v1/actors/org/acme/note/n1";

json parsed(const wire::response& r) {
  return json::parse(r.bytes());
}

}  // namespace

TEST_CASE("a command answers its result with the revision, and its id applies it once") {
  served s;
  auto first =
      s.post(note + "/commands/note.write", {{"text", "a"}}, "ada-token", {{"Idempotency-Key", "k1"}});
  REQUIRE(first.status == 200);
  CHECK(parsed(first)["n"] == 1);
  auto again =
      s.post(note + "/commands/note.write", {{"text", "a"}}, "ada-token", {{"Idempotency-Key", "k1"}});
  CHECK(parsed(again)["n"] == 1);
  CHECK(again.headers.find("ETag") == first.headers.find("ETag"));
  auto other =
      s.post(note + "/commands/note.write", {{"text", "b"}}, "ada-token", {{"Idempotency-Key", "k1"}});
  CHECK(other.status == 422);
  CHECK(parsed(other)["code"] == "id_reused");
  CHECK(parsed(s.post(note + "/queries/note.read", json::object()))["text"] == "a");
}

TEST_CASE("a snapshot has an ETag, and the newest is not sent twice") {
  served s;
  auto full = s.get(note + "/snapshot");
  REQUIRE(full.status == 200);
  wire::request r;
  r.target = note + "/snapshot";
  r.headers.add("If-None-Match", std::string(*full.headers.find("ETag")));
  auto same = s.send(r);
  CHECK(same.status == 304);
  CHECK(same.bytes().empty());
  s.post(note + "/commands/note.write", {{"text", "new"}});
  auto changed = s.send(r);
  CHECK(changed.status == 200);
  CHECK(parsed(changed)["text"] == "new");
}

TEST_CASE("bad input is answered with a stable code and changes nothing") {
  served s;
  auto code_of = [&](wire::request r, const std::string& token = "ada-token") {
    auto answer = s.send(std::move(r), token);
    CHECK(answer.headers.find("Content-Type") == "application/problem+json");
    auto body = parsed(answer);
    CHECK(body["status"] == answer.status);
    return std::to_string(answer.status) + " " + body["code"].get<std::string>();
  };
  auto request = [&](std::string target, std::string body, std::string type = "application/json") {
    wire::request r;
    r.method = "POST";
    r.target = std::move(target);
    r.body = std::move(body);
    r.headers.add("Content-Type", std::move(type));
    return r;
  };
  auto write = note + "/commands/note.write";
  CHECK(code_of(request(write, "{")) == "400 not_json");
  CHECK(code_of(request(write, std::string(100'000, '['))) == "400 not_json");
  CHECK(code_of(request(write, "{\"text\":1}")) == "422 invalid_body");
  CHECK(code_of(request(write, "{\"text\":\"x\",\"more\":1}")) == "422 invalid_body");
  CHECK(code_of(request(write, "text=x", "application/x-www-form-urlencoded")) ==
        "415 unsupported_media_type");
  CHECK(code_of(request(note + "/commands/note.nothing", "{}")) == "404 unknown_command");
  CHECK(code_of(request(note + "/commands/note.start", "{}")) == "403 forbidden");
  CHECK(code_of(request("/v1/actors/org/acme/note/none/commands/note.write", "{\"text\":\"x\"}"))
            .starts_with("404"));
  CHECK(code_of(request("/v1/actors/org//commands/org.make", "{}")) == "400 bad_key");
  CHECK(code_of(request("/v1/actors/org/..%2f/commands/org.make", "{}")) == "400 bad_key");
  CHECK(code_of(request(write, "{\"text\":\"x\"}"), "wrong") == "401 unauthorized");
  CHECK(code_of(request(write, "{\"text\":\"x\"}"), "") == "401 unauthorized");
  CHECK(code_of(request(write, "{\"text\":\"x\"}"), "vic-token").starts_with("403"));
  CHECK(code_of(request("/v1/nothing", "{}")) == "404 not_found");
  CHECK(code_of(request("/v1/health", "{}")) == "405 method_not_allowed");
  auto body = parsed(s.send(request(write, "{\"text\":1}")));
  CHECK(body["violations"][0]["pointer"] == "/text");
  CHECK(parsed(s.get(note + "/snapshot"))["n"] == 0);
}

TEST_CASE("another organization's actor and none at all are answered the same") {
  served s;
  for (auto path : {"/snapshot", "/streams/lines"}) {
    auto hidden = s.get(note + path, "bob-token");
    auto missing = s.get(std::string("/v1/actors/org/acme/note/no") + path, "bob-token");
    CHECK(hidden.status == 404);
    CHECK(missing.status == 404);
    auto a = parsed(hidden), b = parsed(missing);
    CHECK(a["code"] == b["code"]);
    auto text = a["detail"].get<std::string>();
    CHECK(b["detail"] == text.replace(text.find("/n1"), 3, "/no"));
  }
  CHECK(s.get("/v1/inspect/actors/org/acme/note/n1", "bob-token").status == 404);
  CHECK(s.get("/v1/inspect/actors/org/acme/note/n1", "vic-token").status == 403);
}

TEST_CASE("a stream is read by pages, entry by entry and as events that resume") {
  served s;
  s.post(note + "/commands/note.add", {{"count", 5}, {"line", "hello"}});
  auto page = parsed(s.get(note + "/streams/lines?after=1&limit=2"));
  CHECK(page["after"] == 1);
  CHECK(page["first"] == 1);
  CHECK(page["end"] == 5);
  REQUIRE(page["entries"].size() == 2);
  CHECK(page["entries"][0]["seq"] == 2);
  CHECK(page["entries"][0]["data"]["line"] == "hello");
  CHECK(parsed(s.get(note + "/streams/lines/3"))["seq"] == 3);
  CHECK(s.get(note + "/streams/lines/99").status == 404);
  CHECK(s.get(note + "/streams/lines?after=x").status == 400);
  CHECK(s.get(note + "/streams/none").status == 404);
  wire::request r;
  r.target = note + "/streams/lines";
  r.headers.add("Accept", "text/event-stream");
  r.headers.add("Last-Event-ID", "3");
  r.headers.add("Authorization", "Bearer ada-token");
  wire::blocking_client c;
  std::vector<std::string> ids;
  auto status = c.events(s.at, r, [&](const wire::sse_event& e) {
    ids.push_back(e.id);
    if (ids.size() == 2) s.post(note + "/commands/note.add", {{"line", "live"}});
    return ids.size() < 3;
  });
  REQUIRE(status);
  CHECK(ids == std::vector<std::string>{"4", "5", "6"});
}

TEST_CASE("a WebSocket says hello, answers and pushes") {
  served s;
  talker t(s);
  auto hello = t.hear();
  CHECK(hello["op"] == "hello");
  CHECK(hello["protocol"] == "troupe.v1");
  CHECK(hello["principal"]["roles"]["acme"] == "owner");
  t.say({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1"}});
  auto subscribed = t.hear();
  CHECK(subscribed["op"] == "reply");
  CHECK(subscribed["ok"] == true);
  auto snapshot = t.hear();
  CHECK(snapshot["op"] == "snapshot");
  CHECK(snapshot["data"]["n"] == 0);
  auto reply = t.ask({{"op", "command"},
                      {"id", "w"},
                      {"to", "org/acme/note/n1"},
                      {"name", "note.write"},
                      {"body", {{"text", "x"}}}});
  CHECK(reply["ok"] == true);
  CHECK(reply["result"]["n"] == 1);
  auto query = t.ask({{"op", "query"}, {"id", "q"}, {"to", "org/acme/note/n1"}, {"name", "note.read"}});
  CHECK(query["result"]["text"] == "x");
}

TEST_CASE("a subscriber sees what a reply says, or newer, on any connection") {
  served s;
  talker writer(s), reader(s, "vic-token");
  CHECK(reader.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1"}})["ok"] == true);
  std::uint64_t wanted = 0;
  for (int i = 0; i < 20; ++i) {
    auto r = writer.ask({{"op", "command"},
                         {"id", "w" + std::to_string(i)},
                         {"to", "org/acme/note/n1"},
                         {"name", "note.write"},
                         {"body", {{"text", std::to_string(i)}}}});
    wanted = r["revision"];
  }
  std::uint64_t seen = 0;
  while (seen < wanted) {
    auto frame = reader.hear("snapshot");
    CHECK(frame["revision"] > seen);
    seen = frame["revision"];
  }
}

TEST_CASE("a ping is answered") {
  served s;
  talker t(s);
  CHECK(t.ask({{"op", "ping"}, {"id", "1"}})["ok"] == true);
}

TEST_CASE("nothing is sent to who has the current revision") {
  served s;
  talker t(s);
  t.say({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1"}});
  auto now = t.hear("snapshot");
  CHECK(t.ask({{"op", "unsubscribe"}, {"id", "2"}, {"topic", "org/acme/note/n1"}})["ok"] == true);
  json have{{"incarnation", now["incarnation"]}, {"revision", now["revision"]}};
  CHECK(t.ask({{"op", "subscribe"}, {"id", "3"}, {"topic", "org/acme/note/n1"}, {"have", have}})["ok"] ==
        true);
  auto r = t.ask({{"op", "command"},
                  {"id", "w"},
                  {"to", "org/acme/note/n1"},
                  {"name", "note.write"},
                  {"body", {{"text", "y"}}}});
  auto next = t.hear("snapshot");
  CHECK(next["revision"] == r["revision"]);
  json other{{"incarnation", "0"}, {"revision", next["revision"]}};
  t.say({{"op", "subscribe"}, {"id", "4"}, {"topic", "org/acme/note/n1"}, {"have", other}});
  CHECK(t.hear("snapshot")["revision"] == next["revision"]);
}

TEST_CASE("a stream on a WebSocket has no gap and no repeat, from the past into the present") {
  served s;
  s.post(note + "/commands/note.add", {{"count", 600}});
  talker t(s);
  t.say({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1#lines"}, {"after", 10}});
  std::thread writer([&] {
    for (int i = 0; i < 30; ++i) s.post(note + "/commands/note.add", {{"count", 10}});
  });
  std::uint64_t cursor = 10;
  while (cursor < 900) {
    auto frame = t.hear("entries");
    CHECK(frame["after"] == cursor);
    CHECK(frame["entries"].size() <= 256);
    for (const auto& one : frame["entries"]) {
      CHECK(one["seq"] == cursor + 1);
      cursor = one["seq"];
    }
    CHECK(frame["last"] == cursor);
    CHECK(frame["end"] >= cursor);
  }
  writer.join();
  CHECK(cursor == 900);
}

TEST_CASE("a cursor before the oldest kept entry gets a reset") {
  served s;
  s.post(note + "/commands/note.add", {{"count", 1000}});
  s.post(note + "/commands/note.add", {{"count", 500}});
  talker t(s);
  t.say({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1#lines"}, {"after", 1}});
  auto reset = t.hear("reset");
  auto first = t.hear("entries");
  CHECK(reset["first"] > 2);
  CHECK(first["entries"][0]["seq"] == reset["first"]);
}

TEST_CASE("at the live end a turn's entries go before its snapshot") {
  served s;
  talker t(s);
  CHECK(t.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1#lines"}, {"after", 0}})["ok"] ==
        true);
  CHECK(t.ask({{"op", "subscribe"}, {"id", "2"}, {"topic", "org/acme/note/n1"}})["ok"] == true);
  t.hear("snapshot");
  for (int i = 1; i <= 20; ++i) {
    t.say({{"op", "command"},
           {"id", "a" + std::to_string(i)},
           {"to", "org/acme/note/n1"},
           {"name", "note.add"},
           {"body", {{"write", true}}}});
    bool entries = false;
    for (;;) {
      auto frame = t.hear();
      if (frame["op"] == "entries") entries = true;
      if (frame["op"] != "snapshot") continue;
      CHECK(entries);
      break;
    }
  }
}

TEST_CASE("a revoked token closes its WebSockets with 4401 within a second") {
  served s;
  talker t(s), other(s, "vic-token");
  CHECK(t.hear()["op"] == "hello");
  s.who.revoke("ada-token");
  auto closed = t.closed_within(1000ms);
  REQUIRE(closed);
  CHECK(closed->code == 4401);
  CHECK(s.get(note + "/snapshot").status == 401);
  CHECK(!other.closed_within(50ms));
}

TEST_CASE("who leaves an organization sees its topics end, and another one's stay") {
  served s;
  talker t(s, "vic-token");
  CHECK(t.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1"}})["ok"] == true);
  CHECK(t.ask({{"op", "subscribe"}, {"id", "2"}, {"topic", "org/acme/note/n1#lines"}})["ok"] == true);
  s.who.set_role("vic-token", "acme", "");
  std::set<std::string> gone;
  while (gone.size() < 2) {
    auto frame = t.hear("gone");
    gone.insert(frame["topic"].get<std::string>());
  }
  auto again = t.ask({{"op", "subscribe"}, {"id", "3"}, {"topic", "org/acme/note/n1"}});
  CHECK(again["error"]["status"] == 404);
}

TEST_CASE("who unsubscribes or goes away is no subscriber any more") {
  served s;
  const auto subscribers_become = [&](std::size_t n) {
    for (const auto until = wire::clock::now() + 10s; wire::clock::now() < until;
         std::this_thread::sleep_for(5ms)) {
      if (s.actors->stats().subscribers == n) return true;
    }
    return false;
  };
  {
    talker t(s);
    for (const auto* topic : {"org/acme", "org/acme/note/n1", "org/acme/note/n1#lines"})
      t.ask({{"op", "subscribe"}, {"id", topic}, {"topic", topic}});
    const auto all = s.actors->stats().subscribers;
    REQUIRE(all >= 2);
    t.ask({{"op", "unsubscribe"}, {"id", "u"}, {"topic", "org/acme/note/n1"}});
    CHECK(subscribers_become(all - 1));
  }
  CHECK(subscribers_become(0));
}

TEST_CASE("messages that are not the protocol close, messages that are wrong are answered") {
  served s;
  {
    talker t(s);
    CHECK(t.ask({{"op", "dance"}, {"id", "1"}})["error"]["code"] == "invalid_message");
    CHECK(t.ask({{"op", "subscribe"}, {"id", "2"}})["error"]["code"] == "invalid_message");
    CHECK(t.ask({{"op", "subscribe"}, {"id", "3"}, {"topic", "../etc"}})["error"]["code"] == "bad_key");
    CHECK(t.ask({{"op", "unsubscribe"}, {"id", "4"}, {"topic", "org/acme"}})["error"]["status"] == 404);
    CHECK(t.ask({{"op", "command"}, {"id", "5"}, {"to", "org/acme"}})["error"]["code"] == "invalid_message");
    CHECK(t.ask({{"op", "command"},
                 {"id", "6"},
                 {"to", "org/acme/note/n1"},
                 {"name", "note.write"},
                 {"body", {{"text", 1}}}})["error"]["code"] == "invalid_body");
    t.say({{"op", "query"}, {"id", 7}});
    CHECK(t.hear("reply")["error"]["code"] == "invalid_message");
    t.say_text("not json");
    auto closed = t.closed_within(5000ms);
    REQUIRE(closed);
    CHECK(closed->code == 1002);
  }
  served strict([](gateway::gateway_options& o) { o.limits.frame_bytes = 1000; });
  talker t(strict);
  t.hear("hello");
  t.say_text(std::string(1100, ' '));
  auto closed = t.closed_within(5000ms);
  REQUIRE(closed);
  CHECK(closed->code == 1009);
}

TEST_CASE("limits refuse the message that is over, not the connection") {
  served s([](gateway::gateway_options& o) {
    o.limits.subscriptions = 1;
    o.limits.connections_per_principal = 2;
  });
  talker a(s);
  CHECK(a.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme"}})["ok"] == true);
  CHECK(a.ask({{"op", "subscribe"}, {"id", "2"}, {"topic", "org/acme"}})["ok"] == true);  // the same again
  auto over = a.ask({{"op", "subscribe"}, {"id", "3"}, {"topic", "org/acme/note/n1"}});
  CHECK(over["error"]["status"] == 429);
  CHECK(over["error"]["code"] == "too_many_subscriptions");
  talker b(s);
  CHECK_THROWS_WITH_AS(talker(s, "ada-token"), doctest::Contains("too_many_connections"), std::runtime_error);
  talker c(s, "vic-token");
  CHECK(a.ask({{"op", "query"}, {"id", "4"}, {"to", "org/acme/note/n1"}, {"name", "note.read"}})["ok"] ==
        true);
}

TEST_CASE("a reader that stops reading delays nobody and is not sent every revision") {
  served s;
  talker stuck(s, "vic-token", false), fine(s);
  stuck.say({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1"}});
  CHECK(fine.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "org/acme/note/n1"}})["ok"] == true);
  std::string large(400'000, 'x');
  std::uint64_t last = 0;
  for (int i = 0; i < 60; ++i) {
    auto r = fine.ask({{"op", "command"},
                       {"id", "w" + std::to_string(i)},
                       {"to", "org/acme/note/n1"},
                       {"name", "note.write"},
                       {"body", {{"text", large + std::to_string(i)}}}});
    REQUIRE(r["ok"] == true);
    last = r["revision"];
  }
  std::uint64_t seen = 0;
  while (seen < last) seen = fine.hear("snapshot")["revision"];
  auto metrics = s.get("/metrics", "scraper");
  REQUIRE(metrics.status == 200);
  auto text = std::string(metrics.bytes());
  auto found = text.find("\ntroupe_snapshots_conflated_total ");
  REQUIRE(found != std::string::npos);
  CHECK(std::stod(text.substr(found + 34)) > 0);
}

TEST_CASE("a strange Host is refused, a strange Origin too, on HTTP and for WebSockets") {
  served s([](gateway::gateway_options& o) { o.allow_origins = {"https://good.example"}; });
  auto status = [&](const char* field, const char* value, std::string target = "/v1/health") {
    wire::request r;
    r.target = std::move(target);
    r.headers.add(field, value);
    return s.send(r).status;
  };
  CHECK(status("Host", "evil.example") == 421);
  CHECK(status("Host", "localhost:1") == 200);
  CHECK(status("Host", "evil.example", "/v1/nothing") == 421);
  CHECK(status("Origin", "https://evil.example") == 403);
  CHECK(status("Origin", "null") == 403);
  CHECK(status("Origin", "https://good.example") == 200);
  CHECK(status("Origin", "https://evil.example", "/v1/ws") == 403);
  auto own = "http://127.0.0.1:" + std::to_string(s.at.port);
  CHECK(status("Origin", own.c_str()) == 200);
}

TEST_CASE("signing in gives a cookie that works, once; signing out ends it") {
  served s;
  auto bad = s.post("/v1/session", {{"word", "stale"}}, "");
  CHECK(bad.status == 410);
  auto good = s.post("/v1/session", {{"word", "good-word"}}, "");
  REQUIRE(good.status == 204);
  std::string cookie(*good.headers.find("Set-Cookie"));
  CHECK(cookie.find("HttpOnly") != std::string::npos);
  CHECK(cookie.find("SameSite=Strict") != std::string::npos);
  wire::request r;
  r.target = "/v1/session";
  r.headers.add("Cookie", "a=b; " + cookie.substr(0, cookie.find(';')));
  auto me = s.send(r, "");
  REQUIRE(me.status == 200);
  CHECK(parsed(me)["user"] == "ada");
  r.method = "DELETE";
  CHECK(s.send(r, "").status == 204);
  r.method = "GET";
  CHECK(s.send(r, "").status == 401);
}

TEST_CASE("a member stores the own credential for a git host and no other secret") {
  served s;
  const auto put = [&](const std::string& name, const std::string& token) {
    wire::request r;
    r.method = "PUT";
    r.target = "/v1/secrets/acme/" + name;
    r.body = "a token";
    return s.send(std::move(r), token).status;
  };
  CHECK(put("git_github.com_mia", "mia-token") == 204);
  CHECK(s.secrets->read("acme", "git_github.com_mia") == "a token");
  for (const auto* name :
       {"git_github.com_ada", "git__mia", "git_mia", "git_github.com_x_mia", "TOKEN", "git_github.com_"})
    CHECK_MESSAGE(put(name, "mia-token") == 403, name);
  CHECK(put("git_github.com_vic", "vic-token") == 403);
  CHECK(put("git_github.com_bob", "bob-token") == 404);
  CHECK(s.get("/v1/secrets/acme", "mia-token").status == 403);
  wire::request gone;
  gone.method = "DELETE";
  gone.target = "/v1/secrets/acme/git_github.com_mia";
  CHECK(s.send(std::move(gone), "mia-token").status == 204);
}

TEST_CASE("secrets are written by admins, listed by name and never read back") {
  served s;
  wire::request put;
  put.method = "PUT";
  put.target = "/v1/secrets/acme/TOKEN";
  put.body = "hunter2-very-secret";
  CHECK(s.send(put, "vic-token").status == 403);
  CHECK(s.send(put, "bob-token").status == 404);
  CHECK(s.send(put).status == 204);
  auto list = s.get("/v1/secrets/acme");
  CHECK(parsed(list)["secrets"][0]["name"] == "TOKEN");
  CHECK(list.bytes().find("hunter2") == std::string::npos);
  CHECK(s.get("/v1/secrets/acme/TOKEN").status == 405);
  CHECK(s.secrets->read("acme", "TOKEN") == "hunter2-very-secret");
  CHECK(!s.secrets->read("other", "TOKEN"));
  put.method = "DELETE";
  CHECK(s.send(put).status == 204);
  CHECK(s.send(put).status == 404);
}

TEST_CASE("turns of all actors can be watched by administrators, of one organization by its own") {
  served s;
  talker root(s, "root-token"), ada(s), vic(s, "vic-token");
  CHECK(root.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "$host#events"}})["ok"] == true);
  CHECK(vic.ask({{"op", "subscribe"},
                 {"id", "1"},
                 {"topic", "$host#events"},
                 {"prefix", "org/acme"}})["error"]["status"] == 403);
  CHECK(ada.ask({{"op", "subscribe"}, {"id", "1"}, {"topic", "$host#events"}})["error"]["status"] == 403);
  CHECK(
      ada.ask({{"op", "subscribe"}, {"id", "2"}, {"topic", "$host#events"}, {"prefix", "org/acme"}})["ok"] ==
      true);
  s.post(note + "/commands/note.write", {{"text", "watched"}});
  for (auto* t : {&root, &ada}) {
    auto frame = t->hear("entries");
    CHECK(frame["entries"][0]["data"]["actor"] == "org/acme/note/n1");
    CHECK(frame["entries"][0]["data"]["commands"][0]["name"] == "note.write");
  }
}

TEST_CASE("what is only a row yet comes to be when somebody who may see it touches it") {
  std::atomic<int> asked = 0;
  served* world = nullptr;
  served s([&](gateway::gateway_options& o) {
    o.materialize = [&](const key& k, const std::string&, std::function<void(bool)> done) {
      if (k.id() == "n1") return done(false);  // the kit looks for it until it is there
      ++asked;
      if (k.id() != "lazy") return done(false);
      client_command make{key("org/acme"), "make-lazy", "org.make", {{"id", "lazy"}}, "ada"};
      world->actors->command(make, [&, k, done](reply r) { done(r.ok()); });
    };
  });
  world = &s;
  CHECK(s.get("/v1/actors/org/acme/note/lazy/snapshot", "bob-token").status == 404);
  CHECK(asked == 0);
  CHECK(s.get("/v1/actors/org/acme/note/never/snapshot").status == 404);
  CHECK(asked == 1);
  auto until = std::chrono::steady_clock::now() + patience;
  int status = 0;
  while ((status = s.get("/v1/actors/org/acme/note/lazy/snapshot").status) == 404 &&
         std::chrono::steady_clock::now() < until) {
  }
  CHECK(status == 200);
}

TEST_CASE("the contract and the page are served to anybody") {
  served s;
  auto api = parsed(s.get("/openapi.json", ""));
  CHECK(api["paths"].contains("/v1/actors/{key}/commands/note.write"));
  CHECK(!api["paths"].contains("/v1/actors/{key}/commands/note.start"));
  CHECK(parsed(s.get("/asyncapi.json", ""))["channels"]["ws"]["address"] == "/v1/ws");
  CHECK(parsed(s.get("/schemas/note/note.write.body.json", ""))["required"][0] == "text");
  CHECK(s.get("/schemas/note/../../x", "").status == 404);
  auto page = s.get("/", "");
  CHECK(page.status == 200);
  CHECK(page.headers.find("Content-Security-Policy"));
  CHECK(parsed(s.get("/v1/health", ""))["version"] == "9.9.9");
}
