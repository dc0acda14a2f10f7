// The agent effects and their feed against the real daemon and the real scripted agent.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>

#include "drivers/acp/driver.h"
#include "drivers/acp/protocol.h"
#include "tests/drivers/driver_kit.h"

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr auto handle = "local:test";

struct stage {
  scratch_folder work;
  // Under the name of an agent with keys, too.
  real_daemon daemon{{"--agent", std::string("claude=") + SCRIPTED_AGENT}};
  loop net;
  std::atomic<bool> gone{false};
  drivers::daemon_client client{net.http(),
                                [this](const std::string& name) -> std::optional<drivers::daemon_address> {
                                  if (name != handle || gone) return std::nullopt;
                                  return daemon.address();
                                }};
  drivers::acp::options limits{.initialize_limit = std::chrono::seconds(2)};
  std::vector<effect_kind> effects = drivers::acp::effects(net.ex(), client, secret, limits);
  std::vector<feed_kind> feeds = drivers::acp::feeds(net.ex(), client, limits);
  std::string agent_session;
  int next = 0;

  static std::optional<std::string> secret(std::string_view org, std::string_view name) {
    if (org == "acme" && name == "key") return "s3cret";
    if (org == "acme" && name == "ANTHROPIC_API_KEY") return "sk-of-acme";
    return std::nullopt;
  }

  json start_body(const std::string& connection = "c1", json more = json::object()) {
    json body = {{"handle", handle},
                 {"connection", connection},
                 {"agent", "scripted"},
                 {"cwd", work.str()},
                 {"environment", {{"SCRIPTED_AGENT_MODE", "full"}}},
                 {"mcp_servers", json::array()},
                 {"request_id", "troupe-start-" + std::to_string(++next)}};
    body.update(more);
    return body;
  }

  std::shared_ptr<recorded_effect> effect(const std::string& name, json body) {
    return test::start(effects, name, "effect-" + std::to_string(++next), std::move(body));
  }

  json open(const std::string& connection = "c1", json more = json::object()) {
    auto result = effect("agent.start", start_body(connection, std::move(more)))->result();
    agent_session = result["agent_session"];
    return result;
  }

  json prompt_body(const std::string& text, const std::string& connection = "c1") {
    return {{"handle", handle},
            {"connection", connection},
            {"agent_session", agent_session},
            {"request_id", "troupe-prompt-" + std::to_string(++next)},
            {"prompt", json::array({{{"type", "text"}, {"text", text}}})}};
  }

  std::shared_ptr<recorded_feed> follow(const std::string& connection = "c1",
                                        const std::string& position = "") {
    auto feed =
        std::make_shared<recorded_feed>(json{{"handle", handle}, {"connection", connection}}, position);
    feeds.front().start(feed);
    return feed;
  }
};

bool is_running(const std::string& words) {
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc", error), end; !error && at != end;
       at.increment(error)) {
    // A stream would throw for a process that ends meanwhile.
    std::string line(4096, '\0');
    std::FILE* file = std::fopen((at->path() / "cmdline").c_str(), "r");
    line.resize(file ? std::fread(line.data(), 1, line.size(), file) : 0);
    if (file) std::fclose(file);
    std::replace(line.begin(), line.end(), '\0', ' ');
    if (line.starts_with(words)) return true;
  }
  return false;
}

bool is_update(const json& entry, const std::string& kind) {
  return entry.contains("message") && entry["message"].value("method", "") == "session/update" &&
         entry["message"]["params"]["update"]["sessionUpdate"] == kind;
}

auto answer_to(const json& id) {
  return [id](const json& entry) {
    return entry.contains("message") && !entry["message"].contains("method") &&
           entry["message"].value("id", json()) == id;
  };
}

std::string said(const std::vector<json>& entries) {
  std::string text;
  for (const auto& entry : entries) {
    if (is_update(entry, "agent_message_chunk")) {
      text += entry["message"]["params"]["update"]["content"]["text"].get<std::string>();
    }
  }
  return text;
}

// Sequence numbers 1, 2, 3, … without gap or repeat.
void check_whole(const std::vector<json>& entries, std::uint64_t first = 1) {
  for (std::size_t i = 0; i < entries.size(); ++i) CHECK(entries[i]["seq"] == first + i);
}

}  // namespace

TEST_CASE("starting an agent answers its session, what it can do, its modes and options") {
  stage s;
  const auto result = s.open();
  CHECK(result["loaded"] == "new");
  CHECK(result["capabilities"]["loadSession"] == true);
  CHECK(result["modes"]["currentModeId"] == "full");
  CHECK(result["config_options"].size() == 2);
  CHECK(result["agent_info"]["name"] == "scripted-agent");
}

TEST_CASE("a turn's updates and its answer stand in the feed in order, and the effect tells how it ended") {
  stage s;
  s.open();
  auto feed = s.follow();
  const auto body = s.prompt_body("say hello\nrun echo from the sandbox");
  auto run = s.effect("agent.prompt", body);
  CHECK(run->result()["stop_reason"] == "end_turn");
  CHECK(run->result()["usage"]["totalTokens"] > 0);
  feed->wait_for(answer_to(body["request_id"]));
  const auto entries = feed->entries();
  check_whole(entries);
  CHECK(said(entries) == "hello");
  CHECK(answer_to(body["request_id"])(entries.back()));
  feed->stop();
}

TEST_CASE("a feed that begins before its agent waits for it") {
  stage s;
  auto feed = s.follow();
  s.open();
  feed->wait_for([](const json& e) { return is_update(e, "available_commands_update"); });
  feed->stop();
}

TEST_CASE("a feed resumes from its position without gap or repeat") {
  stage s;
  s.open();
  auto feed = s.follow();
  auto body = s.prompt_body("flood 200 50");
  s.effect("agent.prompt", body)->result();
  feed->wait_for(answer_to(body["request_id"]));
  feed->stop();
  const auto before = feed->entries();
  body = s.prompt_body("say after");
  s.effect("agent.prompt", body)->result();
  auto again = s.follow("c1", feed->position());
  again->wait_for(answer_to(body["request_id"]));
  check_whole(before);
  check_whole(again->entries(), before.size() + 1);
  CHECK(said(again->entries()) == "after");
  again->stop();
}

TEST_CASE("batches are bounded, one at a time, and nothing is lost while the session is slow") {
  stage s;
  s.open();
  auto feed = s.follow();
  feed->wait_for([](const json& e) { return is_update(e, "available_commands_update"); });
  const auto before = feed->entries().size();
  feed->hold(true);
  auto body = s.prompt_body("flood 3000 100");
  auto run = s.effect("agent.prompt", body);
  // The first batch waits for its commit; the daemon and the feed's queue hold the rest.
  feed->wait_for([&](const json& e) { return e["seq"] > before; });
  const auto held = feed->entries().size();
  run->result();
  CHECK(feed->entries().size() == held);
  feed->hold(false);
  feed->wait_for(answer_to(body["request_id"]));
  check_whole(feed->entries());
  CHECK(feed->largest_batch() <= 256);
  CHECK_FALSE(feed->overlapped());
  feed->stop();
}

TEST_CASE("a line of megabytes arrives whole, and so does what follows it") {
  stage s;
  s.open();
  auto feed = s.follow();
  auto body = s.prompt_body("flood 1 3000000\nsay after it");
  CHECK(s.effect("agent.prompt", body)->result()["stop_reason"] == "end_turn");
  feed->wait_for(answer_to(body["request_id"]));
  check_whole(feed->entries());
  const auto text = said(feed->entries());
  CHECK(text.size() >= 3'000'000);
  CHECK(text.ends_with("after it"));
  feed->stop();
}

TEST_CASE("the same effect again gives the first outcome and prompts nothing twice") {
  stage s;
  s.open();
  auto feed = s.follow();
  const auto body = s.prompt_body("run echo once >> log; cat log");
  const auto first = test::start(s.effects, "agent.prompt", "the-effect", body)->result();
  const auto second = test::start(s.effects, "agent.prompt", "the-effect", body, true)->result();
  CHECK(first == second);
  std::ifstream log(s.work.path() / "log");
  std::string text((std::istreambuf_iterator<char>(log)), {});
  CHECK(text == "once\n");
  feed->stop();
}

TEST_CASE("a permission is asked in the feed, keeps the agent waiting, and the answer lets it go on") {
  stage s;
  s.open("c1", {{"environment", json::object()}});
  auto feed = s.follow();
  const auto body = s.prompt_body("run touch allowed");
  auto run = s.effect("agent.prompt", body);
  const auto question = feed->wait_for([](const json& e) {
    return e.contains("message") && e["message"].value("method", "") == "session/request_permission";
  });
  CHECK_FALSE(run->reported());
  s.effect("agent.answer", {{"handle", handle},
                            {"connection", "c1"},
                            {"request_id", question["message"]["id"]},
                            {"option", "allow"}})
      ->result();
  CHECK(run->result()["stop_reason"] == "end_turn");
  CHECK(std::filesystem::exists(s.work.path() / "allowed"));
  feed->stop();
}

TEST_CASE("a cancel passes the prompt that runs, and the agent is usable afterwards") {
  stage s;
  s.open();
  auto feed = s.follow();
  auto run = s.effect("agent.prompt", s.prompt_body("say begun\nrun touch running; sleep 300"));
  REQUIRE(eventually([&] { return std::filesystem::exists(s.work.path() / "running"); }));
  s.effect("agent.cancel", {{"handle", handle}, {"connection", "c1"}, {"agent_session", s.agent_session}})
      ->result();
  CHECK(run->result()["stop_reason"] == "cancelled");
  CHECK(s.effect("agent.prompt", s.prompt_body("say still here"))->result()["stop_reason"] == "end_turn");
  feed->stop();
}

TEST_CASE("a cancel ends what the prompt ran in sessions of their own, and nothing that ran before") {
  stage s;
  s.open();
  // Times that nothing else on this machine sleeps.
  s.effect("agent.prompt", s.prompt_body("spawn sleep 86021"))->result();
  REQUIRE(eventually([] { return is_running("sleep 86021"); }));
  auto run = s.effect("agent.prompt", s.prompt_body("spawn sleep 86022\nhang"));
  REQUIRE(eventually([] { return is_running("sleep 86022"); }));
  s.effect("agent.cancel", {{"handle", handle}, {"connection", "c1"}, {"agent_session", s.agent_session}})
      ->result();
  CHECK(run->result()["stop_reason"] == "cancelled");
  CHECK_FALSE(is_running("sleep 86022"));
  CHECK(is_running("sleep 86021"));
  CHECK(s.effect("agent.prompt", s.prompt_body("say still here"))->result()["stop_reason"] == "end_turn");
}

TEST_CASE(
    "mode and model are set, by the method or by the option, and what does not exist is told in words") {
  stage s;
  s.open();
  const json base = {{"handle", handle}, {"connection", "c1"}, {"agent_session", s.agent_session}};
  auto with = [&](json more) {
    json body = base;
    body["request_id"] = "troupe-set-" + std::to_string(++s.next);
    body.update(more);
    return body;
  };
  s.effect("agent.set_mode", with({{"mode", "plan"}}))->result();
  const auto set = s.effect("agent.set_model", with({{"model", "scripted-1-fast"}}))->result();
  CHECK(set["config_options"][0]["currentValue"] == "plan");
  CHECK(set["config_options"][1]["currentValue"] == "scripted-1-fast");
  s.effect("agent.set_model", with({{"model", "scripted-1"}, {"config", "model"}}))->result();
  const auto wrong = s.effect("agent.set_mode", with({{"mode", "yolo"}}))->trouble();
  CHECK(wrong.code == "agent_error");
  CHECK(wrong.detail.find("yolo") != std::string::npos);
}

TEST_CASE("an agent that is stopped and started again takes up its session") {
  stage s;
  s.open();
  s.effect("agent.prompt", s.prompt_body("title The long story"))->result();
  const auto session = s.agent_session;
  s.effect("agent.stop", {{"handle", handle}, {"connection", "c1"}})->result();
  const auto again = s.open("c2", {{"agent_session", session}});
  CHECK(again["loaded"] == "resume");
  CHECK(again["agent_session"] == session);
  const auto unknown = s.open("c3", {{"agent_session", "0123456789abcdef0123456789abcdef"}});
  CHECK(unknown["loaded"] == "new");
}

TEST_CASE("an agent that is not known, dies at start, prints garbage or never answers fails in words") {
  stage s;
  const auto unknown = s.effect("agent.start", s.start_body("u", {{"agent", "nosuch"}}))->trouble();
  CHECK(unknown.code == "agent_not_installed");
  const auto dead =
      s.effect("agent.start", s.start_body("d", {{"environment", {{"SCRIPTED_AGENT_START", "die"}}}}))
          ->trouble();
  CHECK(dead.code == "agent_failed");
  CHECK(dead.detail.find("3") != std::string::npos);
  CHECK(dead.detail.find("dying at start") != std::string::npos);
  const auto silent =
      s.effect("agent.start", s.start_body("s", {{"environment", {{"SCRIPTED_AGENT_START", "silent"}}}}))
          ->trouble();
  CHECK(silent.code == "timeout");
  auto feed = s.follow("g");
  s.open("g", {{"environment", {{"SCRIPTED_AGENT_START", "garbage"}}}});
  feed->wait_for([](const json& e) { return e["message"].value("method", "") == "_adapter/invalid_stdout"; });
  feed->stop();
}

TEST_CASE("an agent that crashes fails its prompt and ends the feed with exit code and stderr") {
  stage s;
  s.open();
  auto feed = s.follow();
  auto run = s.effect("agent.prompt", s.prompt_body("warn the last words\ncrash 42"));
  const auto why = run->trouble();
  CHECK(why.code == "agent_failed");
  CHECK(why.detail.find("42") != std::string::npos);
  const auto end = feed->wait_failed();
  CHECK(end.code == "agent_failed");
  CHECK(end.detail.find("42") != std::string::npos);
  CHECK(end.detail.find("the last words") != std::string::npos);
  check_whole(feed->entries());
  // The server may go down between the commit of the last entry and this: a resumed feed says so again.
  auto again = s.follow("c1", feed->position());
  CHECK(again->wait_failed().code == "agent_failed");
  CHECK(again->entries().empty());
}

TEST_CASE("secrets reach the agent's environment by name, and one that is missing is named") {
  stage s;
  s.open("c1", {{"environment", {{"SCRIPTED_AGENT_MODE", "full"}, {"API_KEY", {{"secret", "key"}}}}}});
  s.effect("agent.prompt", s.prompt_body("run printf %s \"$API_KEY\" > seen"))->result();
  std::ifstream seen(s.work.path() / "seen");
  std::string text;
  seen >> text;
  CHECK(text == "s3cret");
  const auto wrong =
      s.effect("agent.start", s.start_body("c2", {{"environment", {{"X", {{"secret", "other"}}}}}}))
          ->trouble();
  CHECK(wrong.code == "invalid");
  CHECK(wrong.detail.find("`other`") != std::string::npos);
}

TEST_CASE("a secret that an agent says in pieces does not come out of the feed, and nothing else is lost") {
  stage s;
  s.open();
  const auto secrets =
      std::make_shared<const drivers::redaction>(std::vector<std::string>{"sk-planted-0123456789"});
  auto feed = std::make_shared<recorded_feed>(json{{"handle", handle}, {"connection", "c1"}});
  drivers::acp::feeds(s.net.ex(), s.client, s.limits, [secrets](std::string_view) { return secrets; })
      .front()
      .start(feed);
  const auto piece = [](const std::string& text) {
    const json update{{"sessionUpdate", "agent_message_chunk"},
                      {"content", {{"type", "text"}, {"text", text}}}};
    return "update " + update.dump() + "\n";
  };
  // The agent pauses in the middle of it, so that the pieces come in batches of their own.
  const auto body = s.prompt_body(piece("It is sk-") + piece("planted-0") + "sleep 0.3\n" + piece("123456") +
                                  piece("789, keep it.") + piece(" The next is sk"));
  s.effect("agent.prompt", body)->result();
  feed->wait_for([&](const json& e) {
    return e.contains("message") && e["message"].value("id", json()) == body["request_id"];
  });
  std::string said;
  for (const auto& entry : feed->entries())
    if (is_update(entry, "agent_message_chunk"))
      said += entry["message"]["params"]["update"]["content"]["text"].get<std::string>();
  CHECK(said == "It is ***, keep it. The next is sk");
  feed->stop();
}

TEST_CASE("a secret with the name of a variable that holds the agent's key is that variable") {
  stage s;
  const json environment = {{"SCRIPTED_AGENT_MODE", "full"}, {"SCRIPTED_AGENT_HOME", s.work.str()}};
  const auto seen = [&](const std::string& connection, const json& more) {
    auto given = environment;
    given.update(more);
    s.open(connection, {{"agent", "claude"}, {"environment", given}});
    s.effect("agent.prompt", s.prompt_body("run printf %s \"$ANTHROPIC_API_KEY\" > seen", connection))
        ->result();
    std::ifstream in(s.work.path() / "seen");
    std::string text;
    in >> text;
    return text;
  };
  CHECK(seen("c1", json::object()) == "sk-of-acme");
  CHECK(seen("c2", {{"ANTHROPIC_API_KEY", "what the repository says"}}) == "what");
}

TEST_CASE("a sandbox that is gone is not found, by effects and by the feed that followed it") {
  stage s;
  s.open();
  auto feed = s.follow();
  feed->wait_for([](const json& e) { return e.contains("seq"); });
  s.gone = true;
  s.daemon.stop();
  CHECK(s.effect("agent.prompt", s.prompt_body("say x"))->trouble().code == "not_found");
  CHECK(feed->wait_failed().code == "not_found");
}

TEST_CASE("a body that does not fit the contract ends its effect and names the field") {
  stage s;
  const auto wrong = s.effect("agent.stop", {{"handle", handle}})->trouble();
  CHECK(wrong.code == "invalid");
  CHECK(wrong.detail.find("`connection`") != std::string::npos);
}

TEST_CASE("the protocol's odd corners: errors with their words elsewhere, versions, missing options") {
  using namespace drivers::acp;
  const auto error = result_of(json::parse(
      R"({"id":1,"error":{"code":-32603,"message":"Internal error","data":{"message":"the model is gone"}}})"));
  CHECK(std::get<rpc_error>(error).words == "Internal error: the model is gone");
  CHECK(std::get<json>(result_of(json::parse(R"({"result":null,"id":2})"))).empty());
  CHECK(std::holds_alternative<std::string>(read_initialize(json::parse(R"({"protocolVersion":7})"))));
  const auto can = std::get<abilities>(read_initialize(json::parse(
      R"({"protocolVersion":1,"agentCapabilities":{"sessionCapabilities":{"resume":{}}},"authMethods":[{"id":"chatgpt"},{"id":"codex-api-key"}]})")));
  CHECK(can.resume);
  CHECK_FALSE(can.load);
  CHECK(key_methods(can) == std::vector<std::string>{"codex-api-key"});
  CHECK(permission_answer("q", std::nullopt)["result"]["outcome"]["outcome"] == "cancelled");
}
