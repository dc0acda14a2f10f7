// Agents over HTTP: what the spool, the acknowledgements and the keys promise.
#include <future>

#include "tests/sandboxd/serving.h"

using namespace troupe;
using namespace troupe::tests;

namespace {

bool is_number(const serving::event& e, int n) {
  return e.data.is_object() && e.data.value("params", json()) == n;
}

std::string method_of(const serving::event& e) {
  return e.data.value("method", "");
}

}  // namespace

TEST_CASE("a request is answered with the agent's own response, and the stream has it too") {
  serving s;
  auto said = s.ask("c", "one", "reply");
  CHECK(said.status == 200);
  CHECK(said.body["id"] == "one");
  CHECK(said.body["result"] == true);
  auto seen = s.events("/v1/acp/c", 0, [](auto& e) { return e.data.contains("result"); });
  CHECK(seen.back().data == said.body);
}

TEST_CASE("the contract's refusals come in its order and start nothing") {
  serving s;
  auto plain = wire::headers{{"content-type", "text/plain"}};
  CHECK(s.call("POST", "/v1/acp/x?agent=stand-in", "{}", plain).status == 415);
  auto picky = wire::headers{{"content-type", "application/json"}, {"accept", "text/html"}};
  CHECK(s.call("POST", "/v1/acp/x?agent=stand-in", "{}", picky).status == 406);
  CHECK(s.call("POST", "/v1/acp/x?agent=stand-in", "{no")
            .body["detail"]
            .get<std::string>()
            .find("invalid request: invalid JSON body: ") == 0);
  CHECK(s.post("/v1/acp/x?agent=nobody", json::object()).body["title"] == "Unsupported Agent");
  CHECK(s.post("/v1/acp/x", json::object()).body["detail"] ==
        "invalid request: missing required 'agent' query parameter for first POST to /v1/acp/{id}");
  CHECK(s.post("/v1/acp/x?agent=stand-in", json::array()).body["detail"] ==
        "invalid request: request body must be a JSON-RPC object");
  CHECK(s.get("/v1/acp").body["servers"].empty());
  CHECK(s.get("/v1/acp/x").status == 404);
  CHECK(s.ask("x", 1, "reply").status == 200);
  CHECK(s.post("/v1/acp/x?agent=mock", json::object()).status == 409);
}

TEST_CASE("a consumer that comes back sees every line once and in order") {
  serving s;
  REQUIRE(s.ask("c", 1, "flood 500 20").status == 200);
  std::uint64_t at = 0;
  std::vector<std::uint64_t> ids;
  for (int stop : {100, 101, 350, 500}) {
    for (auto& e : s.events("/v1/acp/c", at, [&](auto& x) { return is_number(x, stop); }))
      ids.push_back(e.id);
    at = ids.back();
  }
  REQUIRE(ids.size() == 500);
  for (std::size_t i = 0; i < ids.size(); ++i) CHECK(ids[i] == i + 1);
}

TEST_CASE("without an acknowledging consumer the last 1024 lines are kept") {
  serving s;
  REQUIRE(s.ask("c", 1, "flood 3000 5").status == 200);
  auto seen = s.events("/v1/acp/c", 0, [](auto& e) { return e.data.contains("result"); });
  CHECK(seen.size() == 1024);
  CHECK(seen.back().id == 3001);
}

TEST_CASE("what is not acknowledged is kept, and a full spool stops the agent until there is room") {
  serving s({"--spool-bytes", "65536"});
  auto made = s.call("PUT", "/v1/acp/c", R"({"agent":"stand-in","acknowledge":true})");
  REQUIRE(made.status == 201);
  auto posted = std::async(std::launch::async, [&] { return s.ask("c", 1, "flood 3000 200"); });
  auto state = [&] { return s.get("/v1/acp/c/status").body; };
  REQUIRE(eventually([&] { return state()["full"] == true; }));
  // More than the bound stands in it by no more than one read.
  auto held = state()["heldBytes"].get<std::uint64_t>();
  CHECK(held >= 65536);
  CHECK(held < 65536 + 3 * 65536);
  CHECK(state()["last"] < 3000);

  std::uint64_t at = 0;
  while (at < 3001) {
    auto upto = state()["last"].get<std::uint64_t>();
    if (upto == at) continue;
    for (auto& e : s.events("/v1/acp/c", at, [&](auto& x) { return x.id == upto; })) {
      REQUIRE(e.id == at + 1);
      at = e.id;
      if (at <= 3000) REQUIRE(is_number(e, static_cast<int>(at)));
    }
    REQUIRE(s.call("POST", "/v1/acp/c/ack?seq=" + std::to_string(at)).status == 200);
  }
  CHECK(posted.get().body["result"] == "flooded");
  CHECK(s.call("POST", "/v1/acp/c/ack?seq=99999").status == 400);
}

TEST_CASE("a repeated key is not sent to the agent again") {
  serving s;
  auto first = s.ask("c", 1, "calls", "k");
  auto again = s.ask("c", 1, "calls", "k");
  CHECK(first.body["result"] == 1);
  CHECK(again.text == first.text);
  CHECK(again.headers.find("idempotency-replayed") == "true");
  CHECK(s.ask("c", 2, "calls").body["result"] == 2);
  CHECK(s.ask("c", 3, "calls", "k").status == 422);
}

TEST_CASE("a key that is still being worked on gives its outcome to all who ask") {
  serving s;
  REQUIRE(s.ask("c", 0, "reply").status == 200);
  std::vector<std::future<serving::answer>> all;
  for (int i = 0; i < 5; ++i)
    all.push_back(std::async(std::launch::async, [&] { return s.ask("c", 1, "slow 300", "k"); }));
  for (auto& one : all) CHECK(one.get().body["result"] == 2);
  CHECK(s.ask("c", 2, "calls").body["result"] == 3);
}

TEST_CASE("a request whose caller has gone goes on, and its key gives the outcome later") {
  serving s;
  REQUIRE(s.ask("c", 0, "reply").status == 200);
  json message{{"id", 1}, {"method", "slow 500"}};
  auto gone = s.call("POST", "/v1/acp/c", message.dump(), {{"idempotency-key", "k"}}, 100ms);
  CHECK(gone.status == 0);
  auto later = s.call("POST", "/v1/acp/c", message.dump(), {{"idempotency-key", "k"}});
  CHECK(later.body["result"] == 2);
}

TEST_CASE("what the agent prints beside the protocol becomes an event") {
  serving s;
  REQUIRE(s.ask("c", 1, "garbage Hello, I am no JSON").status == 200);
  auto seen = s.events("/v1/acp/c", 0, [](auto& e) { return e.data.contains("result"); });
  REQUIRE(seen.size() == 2);
  CHECK(method_of(seen[0]) == "_adapter/invalid_stdout");
  CHECK(seen[0].data["params"]["raw"] == "Hello, I am no JSON");
}

TEST_CASE("an agent that exits fails what is pending at once, with its code and its last words") {
  serving s;
  REQUIRE(s.ask("c", 0, "reply").status == 200);
  auto hangs = std::async(std::launch::async, [&] { return s.ask("c", "p", "hang"); });
  REQUIRE(eventually([&] { return s.get("/v1/acp/c/status").body["pending"] == 1; }));
  auto said = s.ask("c", 1, "exit 7");
  for (auto& one : {said, hangs.get()}) {
    CHECK(one.status == 500);
    CHECK(one.body["title"] == "Agent Process Exited");
    CHECK(one.body["details"]["exitCode"] == 7);
    CHECK(one.body["details"]["stderr"] == "dying as told\n");
  }
  auto seen = s.events("/v1/acp/c", 0, [](auto& e) { return method_of(e) == "_adapter/agent_exited"; });
  CHECK(seen.back().data["params"] == json{{"code", 7}, {"success", false}});
  auto late = s.ask("c", 2, "reply");
  CHECK(late.status == 502);
  CHECK(late.body["detail"] == "stream error: failed writing to agent stdin: Broken pipe (os error 32)");
}

TEST_CASE("deleting a connection ends what the agent has left in sessions of its own") {
  serving s;
  auto orphan = s.ask("c", 1, "orphan").body["result"].get<pid_t>();
  CHECK(alive(orphan));
  CHECK(s.call("DELETE", "/v1/acp/c").status == 204);
  CHECK(eventually([&] { return !alive(orphan); }));
  CHECK(s.get("/v1/acp/c").status == 404);
  CHECK(s.call("DELETE", "/v1/acp/c").status == 204);
}

TEST_CASE("the orphans of an agent that exits by itself end too") {
  serving s;
  auto orphan = s.ask("c", 1, "orphan").body["result"].get<pid_t>();
  s.ask("c", 2, "exit 0");
  CHECK(eventually([&] { return !alive(orphan); }));
}

TEST_CASE("a daemon that was killed offers its spools again, closed, and knows its keys") {
  serving s;
  REQUIRE(s.call("PUT", "/v1/acp/c", R"({"agent":"stand-in","acknowledge":true})").status == 201);
  auto done = s.ask("c", 1, "flood 50 10", "done");
  auto hangs = std::async(std::launch::async, [&] { return s.ask("c", 2, "hang", "begun"); });
  REQUIRE(eventually([&] { return s.get("/v1/acp/c/status").body["pending"] == 1; }));
  s.kill(SIGKILL);
  hangs.get();
  s.start();
  auto seen = s.events("/v1/acp/c", 0, [](auto& e) { return method_of(e) == "_adapter/agent_exited"; });
  REQUIRE(seen.size() == 52);
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK(seen[i].id == i + 1);
  CHECK(s.ask("c", 1, "flood 50 10", "done").text == done.text);
  CHECK(s.ask("c", 2, "hang", "begun").body["title"] == "Interrupted");
}

TEST_CASE("an agent's environment comes by header or by PUT") {
  serving s;
  auto value = wire::percent_encode(R"({"COLOUR":"green"})");
  json message{{"id", 1}, {"method", "getenv COLOUR"}};
  auto said = s.call("POST", "/v1/acp/a?agent=stand-in", message.dump(), {{"troupe-environment", value}});
  CHECK(said.body["result"] == "green");
  REQUIRE(s.call("PUT", "/v1/acp/b", R"({"agent":"stand-in","env":{"COLOUR":"blue"}})").status == 201);
  CHECK(s.call("POST", "/v1/acp/b", message.dump()).body["result"] == "blue");
}

TEST_CASE("an agent whose program is not there is reported and leaves nothing behind") {
  serving s;
  auto said = s.post("/v1/acp/c?agent=scripted", json{{"id", 1}, {"method", "initialize"}});
  CHECK(said.status == 404);
  CHECK(said.body["title"] == "Agent Not Installed");
  CHECK(s.get("/v1/acp").body["servers"].empty());
}

TEST_CASE("the mock agent echoes as the contract says") {
  serving s;
  CHECK(s.post("/v1/agents/mock/install", json::object()).body["already_installed"] == false);
  CHECK(s.post("/v1/agents/mock/install", json::object()).body["already_installed"] == true);
  json message{{"jsonrpc", "2.0"}, {"id", 5}, {"method", "x"}};
  auto said = s.post("/v1/acp/m?agent=mock", message);
  CHECK(said.body["result"]["echoed"] == message);
  json reply{{"jsonrpc", "2.0"}, {"id", 9}, {"result", 1}};
  CHECK(s.post("/v1/acp/m", reply).status == 202);
  auto seen = s.events("/v1/acp/m", 0, [](auto& e) { return method_of(e) == "mock/client_response"; });
  CHECK(seen.size() == 4);
  CHECK(seen[0].data["params"]["message"] == message);
  CHECK(seen[3].data["params"] == json{{"id", 9}, {"result", 1}, {"error", nullptr}});
}

TEST_CASE("agents are listed in the published order, then ours") {
  serving s;
  std::vector<std::string> ids;
  auto listed = s.get("/v1/agents").body;
  for (auto& a : listed["agents"]) ids.push_back(a["id"]);
  std::vector<std::string> wanted{"claude", "codex", "opencode", "amp",      "pi",
                                  "cursor", "mock",  "gemini",   "scripted", "stand-in"};
  CHECK(ids == wanted);
  CHECK(s.get("/v1/agents/nobody").status == 400);
}

TEST_CASE("every route of the API needs the token, and an unknown one is unknown without it") {
  temporary_folder own;
  FILE* f = ::fopen((own / "token").c_str(), "w");
  REQUIRE(f);
  ::fputs("s3cret\n", f);
  ::fclose(f);
  serving s({"--token-file", own / "token"});
  CHECK(s.get("/v1/health").status == 401);
  CHECK(s.get("/v1/health").body["title"] == "Token Invalid");
  CHECK(s.get("/v1/health?access_token=s3cret").status == 401);
  CHECK(s.get("/v1/nothing").status == 404);
  CHECK(s.get("/").status == 200);
  s.token = "s3cre";
  CHECK(s.get("/v1/health").status == 401);
  s.token = "s3cret";
  CHECK(s.get("/v1/health").body["status"] == "ok");
}

TEST_CASE("a unix socket answers the peers it was told of, as the kernel names them") {
  temporary_folder own;
  serving mine({"--unix", own / "mine.sock"});
  CHECK(mine.get("/v1/health").status == 200);
  serving others({"--unix", own / "others.sock", "--peer-uid", "54321"});
  CHECK(others.get("/v1/health").status == 401);
}

TEST_CASE("a process's output is kept for a consumer that acknowledges, and holds the process up") {
  serving s;
  auto config = s.get("/v1/processes/config").body;
  config["maxLogBytesPerProcess"] = 300'000;
  s.post("/v1/processes/config", config);
  json body{{"command", "sh"}, {"args", {"-c", "read go; head -c 2000000 /dev/zero; echo end"}}};
  auto id = s.post("/v1/processes", body).body["id"].get<std::string>();
  auto at = "/v1/processes/" + id;
  CHECK(s.call("POST", at + "/ack?seq=0").body["last"] == 0);
  s.post(at + "/input", {{"data", "Cg=="}});
  std::uint64_t seen = 0, bytes = 0;
  bool ended = false;
  while (!ended) {
    auto page = s.get(at + "/logs?since=" + std::to_string(seen));
    for (auto& e : page.body["entries"]) {
      REQUIRE(e["sequence"] == ++seen);
      auto data = e["data"].get<std::string>();
      bytes += data.size() / 4 * 3 - (data.ends_with("==") ? 2 : data.ends_with("=") ? 1 : 0);
    }
    ended = bytes == 2'000'004;
    REQUIRE(bytes <= 2'000'004);
    if (!page.body["entries"].empty())
      REQUIRE(s.call("POST", at + "/ack?seq=" + std::to_string(seen)).status == 200);
  }
}
