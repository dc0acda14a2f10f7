// What people do with agents, with the agents that people use.
#include <doctest/doctest.h>

#include "tests/agents/town.h"

using namespace troupe::agents::testing;

namespace {

/// Runs the rest of a case once for each agent.
template <class F>
void with_each_agent(F test) {
  auto* in = town::get();
  if (in == nullptr) return;
  for (const auto& agent : tried_agents()) {
    SUBCASE(agent.c_str()) {
      test(*in, agent);
    }
  }
}

}  // namespace

TEST_CASE("the stand-in for the providers passes its own tests") {
  auto* in = town::get();
  if (in == nullptr) return;
  const auto ran = troupe::cli::testing::run(
      in->home(), {"sh", "-c", "cd \"$1\" && exec \"$0\" --test", in->node(), SCRIPTED_MODEL});
  CHECK_MESSAGE(ran.exit_code == 0, ran.out);
  CHECK(ran.out.find("# pass 0") == std::string::npos);
}

TEST_CASE("an agent writes a file and runs a command, reaching its provider and nothing else") {
  with_each_agent([](town& in, const std::string& agent) {
    conversation talk(in, agent, "Please write a note about gears");
    const auto end = talk.turn_end();
    CHECK(end["stop_reason"] == "end_turn");
    CHECK(talk.words().find("The note is there.") != std::string::npos);
    const auto diff = talk.diff();
    CHECK(diff.find("A note about gears") != std::string::npos);
    CHECK(diff.find("counted.txt") != std::string::npos);
    const auto snapshot = talk.session();
    CHECK(snapshot["status"] == "idle");
    CHECK(snapshot.value("tool_calls", json::array()).empty());
  });
}

TEST_CASE("a refused edit does not happen, and the session goes on to one that is allowed") {
  with_each_agent([](town& in, const std::string& agent) {
    int asked = 0;
    conversation talk(in, agent, "Please edit the colours", [&](const json& permission) {
      // Codex asks before it reads, too; only the change is refused.
      const bool change =
          permission.value("kind", "") == "edit" || permission.dump().find("green") != std::string::npos;
      asked += change ? 1 : 0;
      return change ? "reject" : "allow_once";
    });
    auto end = talk.turn_end();
    CHECK(asked == 1);
    CHECK(end.value("refused", false));
    CHECK(talk.diff().find("green") == std::string::npos);
    CHECK(talk.session()["status"] == "idle");

    talk.say("Please edit the colours");
    end = talk.turn_end();
    CHECK(end["stop_reason"] == "end_turn");
    CHECK_FALSE(end.contains("refused"));
    CHECK(talk.diff().find("green") != std::string::npos);
  });
}

TEST_CASE("a cancel in the middle of a command ends the command and closes its call") {
  with_each_agent([](town& in, const std::string& agent) {
    // A time that no other process of this machine sleeps.
    const std::string marked = agent == "claude" ? "86011" : agent == "codex" ? "86012" : "86013";
    conversation talk(in, agent, "Please wait for " + marked + " seconds");
    REQUIRE_MESSAGE(talk.until([&] { return runs("sleep " + marked); }), "the command did not begin");
    talk.command("session.cancel");
    const auto end = talk.turn_end();
    CHECK(end["stop_reason"] == "cancelled");
    CHECK_MESSAGE(eventually([&] { return !runs("sleep " + marked); }), "the command still runs");
    CHECK(talk.session().value("tool_calls", json::array()).empty());

    talk.say("Please write a note about wheels");
    CHECK(talk.turn_end()["stop_reason"] == "end_turn");
    CHECK(talk.diff().find("A note about wheels") != std::string::npos);
  });
}

TEST_CASE("a provider's refusal is told in its words, and the session stays usable") {
  with_each_agent([](town& in, const std::string& agent) {
    conversation talk(in, agent, "Please ask the provider on strike");
    const auto end = talk.turn_end();
    CHECK(end["stop_reason"] == "error");
    CHECK(end["error"].dump().find("on strike") != std::string::npos);
    talk.say("Please write a note about cogs");
    CHECK(talk.turn_end()["stop_reason"] == "end_turn");
  });
}

TEST_CASE("a session that was closed goes on in a new process, which knows what was said") {
  with_each_agent([](town& in, const std::string& agent) {
    conversation talk(in, agent, "Please write a note about springs");
    talk.turn_end();
    talk.command("session.close");
    talk.command("session.resume");
    talk.say("And what was before?");
    CHECK(talk.turn_end()["stop_reason"] == "end_turn");
    CHECK(talk.words().find("Something was.") != std::string::npos);
    std::vector<json> starts;
    for (const auto& entry : talk.transcript())
      if (entry.value("type", "") == "agent_started") starts.push_back(entry["how"]);
    REQUIRE(starts.size() == 2);
    CHECK(starts[0] == "new");
    CHECK((starts[1] == "resume" || starts[1] == "load"));
    const auto asked = in.requests();
    json last;
    for (const auto& one : asked)
      if (one.value("prompt", "").find("what was before") != std::string::npos) last = one;
    CHECK_MESSAGE(last.value("messages", 0) > 3, last.dump());
  });
}

TEST_CASE(
    "a mode that the agent offers holds for the next prompt, and one that it does not offer is refused") {
  auto* in = town::get();
  if (in == nullptr) return;
  conversation talk(*in, "claude", "Please write a note about axles");
  talk.turn_end();
  CHECK_THROWS_AS(talk.command("session.set_mode", {{"mode", "yolo"}}), troupe::cli::failure);
  talk.command("session.set_mode", {{"mode", "acceptEdits"}});
  talk.wait_for([](const json& entry) { return entry.value("type", "") == "setting"; });
  int asked = 0;
  talk.say("Please edit the colours", [&](const json&) {
    ++asked;
    return "allow_once";
  });
  CHECK(talk.turn_end()["stop_reason"] == "end_turn");
  CHECK(asked == 0);
  CHECK(talk.diff().find("green") != std::string::npos);
}

TEST_CASE(
    "an MCP server of the organization is there for the agent, with its secret, which nothing else has") {
  with_each_agent([](town& in, const std::string& agent) {
    in.server().send("PUT", "/v1/secrets/acme/ledger", {{"value", "ledger-planted-0123456789"}});
    const json ledger{{"name", "ledger"},
                      {"command", "node"},
                      {"args", {"/workspace/ledger-mcp.mjs"}},
                      {"environment", {{"LEDGER_TOKEN", {{"secret", "ledger"}}}}}};
    in.server().command("org/acme", "org.update_settings", {{"mcp_servers", {ledger}}});
    conversation talk(in, agent, "Please enter gears into the ledger");
    in.server().command("org/acme", "org.update_settings", {{"mcp_servers", json::array()}});
    CHECK(talk.turn_end()["stop_reason"] == "end_turn");
    CHECK(talk.words().find("It is in the ledger.") != std::string::npos);
    CHECK(talk.diff().find("+gears 25") != std::string::npos);
    CHECK(in.files_with("ledger-planted-0123456789").empty());

    // A new process of the agent gets it again.
    talk.command("session.close");
    talk.command("session.resume");
    talk.say("Please enter wheels into the ledger");
    CHECK(talk.turn_end()["stop_reason"] == "end_turn");
    CHECK(talk.diff().find("+wheels 25") != std::string::npos);
  });
}

TEST_CASE("two tasks with the same agent at once do not disturb each other") {
  with_each_agent([](town& in, const std::string& agent) {
    conversation one(in, agent, "Please write a note about levers");
    conversation two(in, agent, "Please write a note about pulleys");
    // Both are answered by the one thread: what waits for the other waits in the server.
    CHECK(one.turn_end()["stop_reason"] == "end_turn");
    CHECK(two.turn_end()["stop_reason"] == "end_turn");
    CHECK(one.diff().find("A note about levers") != std::string::npos);
    CHECK(two.diff().find("A note about pulleys") != std::string::npos);
    CHECK(one.diff().find("pulleys") == std::string::npos);
  });
}

TEST_CASE(
    "a key that the agent shows, in a command's output or in its own words, is *** wherever it is read") {
  auto* in = town::get();
  if (in == nullptr) return;
  conversation talk(*in, "claude", "Please show your key");
  CHECK(talk.turn_end()["stop_reason"] == "end_turn");
  std::string all;
  for (const auto& entry : talk.transcript()) all += entry.dump();
  CHECK(all.find("key: ***") != std::string::npos);
  CHECK(talk.words().find("It is ***, keep it safe.") != std::string::npos);
  CHECK(all.find("sk-planted") == std::string::npos);
  CHECK(talk.session().dump().find("sk-planted") == std::string::npos);
  CHECK_FALSE(in->files_with("keep it safe").empty());
  CHECK(in->files_with("sk-planted-0123456789").empty());
}

TEST_CASE(
    "an agent does not notice that the server is killed: its turn ends, once, and nothing is asked twice") {
  with_each_agent([](town& in, const std::string& agent) {
    const std::string seconds = agent == "claude" ? "4.01" : agent == "codex" ? "4.02" : "4.03";
    conversation talk(in, agent, "Please wait for " + seconds + " seconds");
    REQUIRE(talk.until([&] { return runs("sleep " + seconds); }));
    in.kill_server();
    talk.reconnect();
    CHECK(talk.turn_end()["stop_reason"] == "end_turn");
    CHECK(talk.words().find("That was long.") != std::string::npos);
    int ends = 0, asked = 0;
    for (const auto& entry : talk.transcript()) ends += entry.value("type", "") == "turn_ended" ? 1 : 0;
    CHECK(ends == 1);
    const auto requests = in.requests();
    for (const auto& one : requests)
      asked += one.value("prompt", "").find("wait for " + seconds) != std::string::npos &&
                       one.value("by", "").starts_with("scenario")
                   ? 1
                   : 0;
    CHECK(asked == 2);
  });
}
