#include "tests/actors/workshop.h"

using namespace troupe;
using namespace troupe::testing;

TEST_CASE("updates of unknown kinds and what is no update are kept as they came") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  const json strange{{"sessionUpdate", "hologram"}, {"deep", {{"x", {1, 2}}}}};
  a.update(strange);
  a.print({{{"jsonrpc", "2.0"}, {"method", "_adapter/invalid_stdout"}, {"params", {{"raw", "oops"}}}},
           {{"jsonrpc", "2.0"}, {"method", "x/unknown"}, {"params", 1}}});
  a.gap(3);
  CHECK(w.transcript("update").back()["update"] == strange);
  CHECK(w.transcript("agent_output").at(0)["message"]["raw"] == "oops");
  CHECK(w.transcript("message").at(0)["message"]["method"] == "x/unknown");
  CHECK(w.transcript("gap").at(0)["missing"] == 3);
}

TEST_CASE("fields of the wrong type harm nothing") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  for (const auto* kind : {"tool_call", "tool_call_update", "plan", "usage_update", "session_info_update",
                           "available_commands_update", "current_mode_update", "config_option_update"})
    a.update({{"sessionUpdate", kind},
              {"toolCallId", 7},
              {"entries", "no"},
              {"used", "many"},
              {"title", 1},
              {"cost", 3},
              {"availableCommands", {1, "two"}},
              {"configOptions", 5},
              {"currentModeId", 1}});
  a.print({agent::message(42), {{"jsonrpc", "2.0"}, {"id", 5}, {"method", "session/request_permission"}}});
  w.await_status(w.session, "needs_input");
  w.end_turn(a);
  w.await_status(w.session, "idle");
}

TEST_CASE("the title that the agent gives becomes the session's, unless a person named it") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  CHECK(w.h.snapshot(w.session)["title"] == "Fix the login");
  a.update({{"sessionUpdate", "session_info_update"}, {"title", "Login"}});
  w.h.await(w.session, [](const json& s) { return s["title"] == "Login"; });
  w.must(w.session, "session.rename", {{"title", "Mine"}});
  a.update({{"sessionUpdate", "session_info_update"}, {"title", "Other"}});
  CHECK(w.h.snapshot(w.session)["title"] == "Mine");
}

TEST_CASE(
    "an agent that does not start puts the session and the task in error, in words, and a retry starts it") {
  workshop w;
  w.make_task();
  w.mirror();
  w.create_sandbox();
  w.checkout();
  w.no_changes();
  w.h.effect("agent.start")
      ->fail({.status = 502, .code = "agent_not_installed", .detail = "scripted is not installed"});
  const auto s = w.await_status(w.session, "error");
  CHECK(s["error"].get<std::string>().find("scripted is not installed") != std::string::npos);
  CHECK(w.await_status(w.task, "error")["error"].get<std::string>().find("not installed") !=
        std::string::npos);
  w.h.await("capacity", [](const json& c) { return c["running"] == 0; });
  w.must(w.task, "task.retry");
  auto a = w.start_agent();
  CHECK(w.prompt->body()["prompt"][0]["text"] == "Fix the login");
}

TEST_CASE(
    "an agent that dies ends the turn with its last words, and the next prompt starts it with its session") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.feed().fail({.status = 502, .code = "agent_failed", .detail = "exit code 7: segfault"});
  const auto s = w.await_status(w.session, "error");
  CHECK(s["error"].get<std::string>().find("segfault") != std::string::npos);
  CHECK(s["connected"] == false);
  CHECK(w.transcript("turn_ended").at(0)["stop_reason"] == "agent_failed");
  w.must(w.session, "session.prompt", {{"text", "go on"}});
  CHECK(w.h.effect("agent.start")->body()["agent_session"] == "a1");
}

TEST_CASE("what a loaded session repeats is not written twice") {
  workshop w;
  w.make_task();
  {
    auto a = w.begin();
    a.update(agent::chunk("first answer"));
    a.feed().fail({.status = 502, .code = "agent_failed", .detail = "gone"});
  }
  w.await_status(w.session, "error");
  w.must(w.session, "session.prompt", {{"text", "go on"}});
  const auto start = w.h.effect("agent.start");
  start->succeed({{"agent_session", "a1"}, {"loaded", "load"}});
  agent a(w.h.feed("agent.updates"));
  w.prompt = w.h.effect("agent.prompt");
  const std::string id = start->body()["request_id"];
  a.print({agent::response(id + "-initialize", {{"protocolVersion", 1}}),
           agent::message(agent::chunk("first answer")), agent::response(id + "-load", json::object()),
           agent::message(agent::chunk("second answer"))});
  const auto said = w.transcript("update");
  REQUIRE(said.size() == 2);
  CHECK(said[1]["update"]["content"]["text"] == "second answer");
  CHECK(w.prompt->body()["prompt"].size() == 1);
}

TEST_CASE("an agent that cannot load its session is told what was said, once") {
  workshop w;
  w.make_task();
  {
    auto a = w.begin();
    a.print({agent::message(agent::chunk("the answer ")), agent::message(agent::chunk("is 42"))});
    a.feed().fail({.status = 502, .code = "agent_failed", .detail = "gone"});
  }
  w.await_status(w.session, "error");
  w.must(w.session, "session.prompt", {{"text", "go on"}});
  auto a = w.start_agent({{"agent_session", "a2"}});
  const auto told = w.prompt->body()["prompt"];
  REQUIRE(told.size() == 2);
  CHECK(told[0]["text"].get<std::string>().find("User: Fix the login") != std::string::npos);
  CHECK(told[0]["text"].get<std::string>().find("Assistant: the answer is 42") != std::string::npos);
  CHECK(told[1]["text"] == "go on");
  w.end_turn(a);
  w.await_status(w.session, "idle");
  w.must(w.session, "session.prompt", {{"text", "and on"}});
  CHECK(w.h.effect("agent.prompt")->body()["prompt"].size() == 1);
}

TEST_CASE("a wanted mode and model are set before the first prompt, and a refused one keeps it waiting") {
  workshop w;
  w.make_task("Fix the login", {{"mode", "plan"}, {"model", "big"}});
  w.mirror();
  w.create_sandbox();
  w.checkout();
  w.no_changes();
  w.h.effect("agent.start")
      ->succeed(
          {{"agent_session", "a1"},
           {"loaded", "new"},
           {"modes",
            {{"currentModeId", "default"}, {"availableModes", {{{"id", "default"}}, {{"id", "plan"}}}}}},
           {"config_options",
            {{{"id", "m"},
              {"category", "model"},
              {"currentValue", "small"},
              {"options", {{{"value", "small"}}}}}}}});
  const auto mode = w.h.effect("agent.set_mode"), model = w.h.effect("agent.set_model");
  CHECK(mode->body()["mode"] == "plan");
  CHECK(model->body()["config"] == "m");
  CHECK(w.h.waiting("agent.prompt") == 0);
  mode->succeed(json::object());
  SUBCASE("set") {
    model->succeed(json::object());
    CHECK(w.h.effect("agent.prompt")->body()["prompt"][0]["text"] == "Fix the login");
  }
  SUBCASE("refused") {
    model->fail({.status = 422, .code = "agent_error", .detail = "no such model"});
    CHECK(w.await_status(w.session, "error")["queue"].size() == 1);
    CHECK(w.h.waiting("agent.prompt") == 0);
  }
}

TEST_CASE("a mode that the agent does not offer is refused") {
  workshop w;
  w.make_task();
  auto a = w.begin({{"modes", {{"currentModeId", "x"}, {"availableModes", {{{"id", "x"}}}}}}});
  CHECK(w.refused(w.session, "session.set_mode", {{"mode", "y"}}) == "unknown_mode");
}

TEST_CASE("an error of the agent ends the turn in its words and leaves the session usable") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  a.print(
      {{{"jsonrpc", "2.0"},
        {"id", w.prompt->body()["request_id"]},
        {"error", {{"code", -32603}, {"message", "Internal error"}, {"data", {{"message", "bad key"}}}}}}});
  const auto s = w.await_status(w.session, "idle");
  CHECK(s["error"] == "Internal error: bad key");
  w.must(w.session, "session.prompt", {{"text", "again"}});
  w.h.effect("agent.prompt");
}

TEST_CASE("when the feed stays silent the outcome of the prompt's effect ends the turn") {
  workshop w;
  w.make_task();
  auto a = w.begin();
  w.prompt->succeed({{"stop_reason", "end_turn"}});
  // The outcome is stored before its timer can be due.
  w.h.await(w.session, [&](const json&) { return true; });
  for (int i = 0; i < 50 && w.transcript("turn_ended").empty(); ++i) {
    w.now.advance(std::chrono::seconds(16));
    w.must(w.session, "session.rename", {{"title", "t" + std::to_string(i)}});
  }
  w.await_status(w.session, "idle");
  CHECK(w.transcript("turn_ended").size() == 1);
}

TEST_CASE("a restart of the server takes up the feed where the session stands") {
  workshop w;
  w.make_task();
  {
    auto a = w.begin();
    a.update(agent::chunk("before "));
  }
  w.h.restart();
  const auto feed = w.h.feed("agent.updates");
  CHECK(feed->position() == "1");
  const auto prompt = w.h.effect("agent.prompt");
  CHECK(prompt->resumed());
  auto delivered = std::make_shared<std::promise<void>>();
  feed->deliver(
      "2",
      json::array(
          {{{"seq", 2},
            {"message", agent::response(prompt->body()["request_id"], {{"stopReason", "end_turn"}})}}}),
      [delivered] { delivered->set_value(); });
  w.await_status(w.session, "idle");
  CHECK(w.transcript("turn_ended").size() == 1);
}

TEST_CASE("MCP servers of the organization, or of the task instead, are given to each start of an agent") {
  workshop w;
  const json token{{"secret", "tracker-token"}};
  const json ours{{{"name", "tracker"},
                   {"command", "tracker-mcp"},
                   {"args", {"--fast"}},
                   {"environment", {{"TOKEN", token}}}}};
  const json theirs{{{"name", "docs"}, {"type", "http"}, {"url", "https://docs.example.org/mcp"}}};
  w.must("org/acme", "org.update_settings", {{"mcp_servers", ours}});
  CHECK(w.h.snapshot("org/acme")["settings"]["mcp_servers"] == ours);
  w.make_task();
  w.mirror();
  CHECK_FALSE(w.create_sandbox().dump().find("tracker") != std::string::npos);
  w.checkout();
  w.no_changes();
  const auto start = w.h.effect("agent.start");
  CHECK(start->body()["mcp_servers"] == ours);
  CHECK(w.h.snapshot(w.task)["mcp_servers"] == json({"tracker"}));

  w.make_task("second", {{"mcp_servers", theirs}});
  w.mirror();
  w.create_sandbox("local:2");
  w.checkout();
  w.no_changes();
  CHECK(w.h.effect("agent.start")->body()["mcp_servers"] == theirs);

  const json twice{ours[0], ours[0]};
  CHECK(w.refused("org/acme", "org.update_settings", {{"mcp_servers", twice}}) == "duplicate_mcp_server");
  CHECK(w.refused("org/acme", "org.update_settings", {{"mcp_servers", {{{"name", "x"}}}}}) == "invalid_body");
}
