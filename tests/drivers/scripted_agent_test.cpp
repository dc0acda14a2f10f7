// The scripted agent, driven over pipes as a client drives it.
#include <csignal>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

#include "tests/drivers/agent_pipes.h"

using nlohmann::json;
using troupe::test::agent_pipes;
using troupe::test::eventually;
using troupe::test::process_lives;
using troupe::test::scratch_folder;

namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

struct conversation {
  scratch_folder home, work;
  agent_pipes agent;
  std::string session;

  explicit conversation(std::vector<std::string> more = {}) : agent(command(home, std::move(more))) {
    agent.call("initialize", {{"protocolVersion", 1}, {"clientCapabilities", json::object()}});
    const auto made = agent.call("session/new", {{"cwd", work.str()}, {"mcpServers", json::array()}});
    REQUIRE(made.contains("result"));
    session = made["result"]["sessionId"];
  }

  static std::vector<std::string> command(const scratch_folder& home, std::vector<std::string> more) {
    std::vector<std::string> argv = {SCRIPTED_AGENT, "--home", home.str()};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }

  json params(const std::string& prompt) const {
    return {{"sessionId", session}, {"prompt", json::array({{{"type", "text"}, {"text", prompt}}})}};
  }

  // The whole answer; permissions are answered with the option of that kind.
  json prompt(const std::string& text, const std::string& permission = "allow_once") {
    agent.seen.clear();
    return agent.call("session/prompt", params(text), [&](const json& m) {
      if (m.value("method", "") != "session/request_permission") return;
      for (const auto& option : m["params"]["options"]) {
        if (option["kind"] != permission) continue;
        const json outcome = {{"outcome", "selected"}, {"optionId", option["optionId"]}};
        agent.send({{"jsonrpc", "2.0"}, {"id", m["id"]}, {"result", {{"outcome", outcome}}}});
      }
    });
  }

  std::vector<json> updates(const std::string& kind) const {
    std::vector<json> found;
    for (const auto& m : agent.seen) {
      if (m.value("method", "") == "session/update" && m["params"]["update"]["sessionUpdate"] == kind) {
        found.push_back(m["params"]["update"]);
      }
    }
    return found;
  }

  std::string said(const std::string& kind = "agent_message_chunk") const {
    std::string text;
    for (const auto& u : updates(kind)) text += u["content"]["text"].get<std::string>();
    return text;
  }

  std::size_t asked() const {
    std::size_t n = 0;
    for (const auto& m : agent.seen) n += m.value("method", "") == "session/request_permission";
    return n;
  }
};

}  // namespace

TEST_CASE("a command really runs in the session's folder and its output and exit code are in the tool call") {
  conversation c({"--mode", "full"});
  const auto answer = c.prompt("run echo from $(pwd) | tee out.txt; exit 3");
  CHECK(answer["result"]["stopReason"] == "end_turn");
  CHECK(read_file(c.work.path() / "out.txt") == "from " + c.work.str() + "\n");
  const auto last = c.updates("tool_call_update").back();
  CHECK(last["status"] == "failed");
  CHECK(last["rawOutput"]["exitCode"] == 3);
  CHECK(last["rawOutput"]["output"] == "from " + c.work.str() + "\n");
}

TEST_CASE("files are written and edited for real and the calls carry diffs") {
  conversation c;
  c.prompt("write a/b.txt <<END\none\ntwo\nEND\nedit a/b.txt two -> three\nread a/b.txt");
  CHECK(read_file(c.work.path() / "a/b.txt") == "one\nthree\n");
  const auto calls = c.updates("tool_call");
  REQUIRE(calls.size() == 3);
  CHECK(calls[0]["content"][0]["type"] == "diff");
  CHECK(calls[0]["content"][0]["oldText"].is_null());
  CHECK(calls[0]["content"][0]["newText"] == "one\ntwo\n");
  CHECK(calls[1]["content"][0]["oldText"] == "two");
  CHECK(c.updates("tool_call_update").back()["content"][0]["content"]["text"] == "one\nthree\n");
}

TEST_CASE("an edit whose old text is missing or stands twice fails and changes nothing") {
  conversation c;
  c.prompt("write x.txt <<END\nsame\nsame\nEND\nedit x.txt same -> other\nedit x.txt never -> other");
  CHECK(read_file(c.work.path() / "x.txt") == "same\nsame\n");
  int failed = 0;
  for (const auto& u : c.updates("tool_call_update")) failed += u.value("status", "") == "failed";
  CHECK(failed == 2);
}

TEST_CASE("the default mode asks before a command and not before an edit") {
  conversation c;
  c.prompt("write x.txt hello\nrun cat x.txt");
  CHECK(c.asked() == 1);
  CHECK(c.updates("tool_call_update").back()["rawOutput"]["output"] == "hello\n");
}

TEST_CASE("a refused command does not run, its call fails and the script goes on") {
  conversation c;
  const auto answer = c.prompt("run touch ran\nsay after", "reject_once");
  CHECK_FALSE(std::filesystem::exists(c.work.path() / "ran"));
  CHECK(c.updates("tool_call_update").back()["status"] == "failed");
  CHECK(c.said() == "after");
  CHECK(answer["result"]["stopReason"] == "end_turn");
}

TEST_CASE("allow always is asked for once") {
  conversation c;
  c.prompt("run true\nrun true\nrun true", "allow_always");
  CHECK(c.asked() == 1);
}

TEST_CASE("plan mode changes nothing and careful mode asks before edits") {
  conversation c({"--mode", "plan"});
  c.prompt("write x.txt hello\nrun touch y");
  CHECK_FALSE(std::filesystem::exists(c.work.path() / "x.txt"));
  CHECK_FALSE(std::filesystem::exists(c.work.path() / "y"));
  c.agent.call("session/set_mode", {{"sessionId", c.session}, {"modeId", "careful"}});
  c.prompt("write x.txt hello");
  CHECK(c.asked() == 1);
  CHECK(std::filesystem::exists(c.work.path() / "x.txt"));
}

TEST_CASE("a refused ask leaves out the rest of the script") {
  conversation c;
  c.prompt("ask May I?\nsay yes\nwrite x.txt y", "reject_once");
  CHECK_FALSE(std::filesystem::exists(c.work.path() / "x.txt"));
  c.prompt("ask May I?\nwrite x.txt y");
  CHECK(std::filesystem::exists(c.work.path() / "x.txt"));
}

TEST_CASE("messages, thoughts, plans, usage and titles come as their own kinds of update") {
  conversation c;
  c.prompt(
      "think hm, let me see what there is to be done here\nsay one two three four five six seven eight nine "
      "ten\n"
      "plan <<END\n- [x] first\n- [~] second\n- [ ] third\nEND\ntitle A name\nusage 10 20 0.5");
  CHECK(c.said() == "one two three four five six seven eight nine ten");
  const auto chunks = c.updates("agent_message_chunk");
  CHECK(chunks.size() > 1);
  CHECK(chunks.front()["messageId"] == chunks.back()["messageId"]);
  CHECK(c.said("agent_thought_chunk").starts_with("hm,"));
  const auto plan = c.updates("plan").back()["entries"];
  REQUIRE(plan.size() == 3);
  CHECK(plan[0]["status"] == "completed");
  CHECK(plan[1]["status"] == "in_progress");
  CHECK(plan[2]["status"] == "pending");
  CHECK(plan[2]["content"] == "third");
  CHECK(c.updates("session_info_update").back()["title"] == "A name");
  bool cost = false;
  for (const auto& u : c.updates("usage_update")) cost |= u.contains("cost") && u["cost"]["amount"] == 0.5;
  CHECK(cost);
}

TEST_CASE("a cancel kills the running command with what it started and the prompt ends as cancelled") {
  conversation c({"--mode", "full"});
  c.agent.send({{"jsonrpc", "2.0"},
                {"id", 99},
                {"method", "session/prompt"},
                {"params", c.params("run sleep 300 & echo $! > pid; sleep 300; echo never > late\nsay no")}});
  REQUIRE(eventually([&] { return !read_file(c.work.path() / "pid").empty(); }));
  const auto child = std::stoi(read_file(c.work.path() / "pid"));
  REQUIRE(process_lives(child));
  c.agent.send({{"jsonrpc", "2.0"}, {"method", "session/cancel"}, {"params", {{"sessionId", c.session}}}});
  const auto answer = c.agent.wait_for([](const json& m) { return m.value("id", json()) == json(99); });
  CHECK(answer["result"]["stopReason"] == "cancelled");
  CHECK(eventually([&] { return !process_lives(child); }));
  CHECK(c.said().empty());
  CHECK(c.prompt("say still here")["result"]["stopReason"] == "end_turn");
}

TEST_CASE("a cancel while a permission is open ends the prompt") {
  conversation c;
  c.agent.send(
      {{"jsonrpc", "2.0"}, {"id", 99}, {"method", "session/prompt"}, {"params", c.params("run touch ran")}});
  c.agent.wait_for([](const json& m) { return m.value("method", "") == "session/request_permission"; });
  c.agent.send({{"jsonrpc", "2.0"}, {"method", "session/cancel"}, {"params", {{"sessionId", c.session}}}});
  const auto answer = c.agent.wait_for(
      [](const json& m) { return !m.contains("method") && m.value("id", json()) == json(99); });
  CHECK(answer["result"]["stopReason"] == "cancelled");
  CHECK_FALSE(std::filesystem::exists(c.work.path() / "ran"));
}

TEST_CASE("two sessions of one process work at the same time") {
  conversation c({"--mode", "full"});
  scratch_folder other;
  const auto made = c.agent.call("session/new", {{"cwd", other.str()}, {"mcpServers", json::array()}});
  const std::string second = made["result"]["sessionId"];
  // Each waits for the other's file, so that neither can end if they run one after the other.
  const auto script = [](const std::string& mine, const std::string& theirs) {
    return "run touch here; i=0; while [ ! -e " + theirs +
           "/here ] && [ $i -lt 500 ]; do sleep 0.01; i=$((i+1)); done; [ -e " + theirs + "/here ]\n# " +
           mine;
  };
  c.agent.send({{"jsonrpc", "2.0"},
                {"id", 98},
                {"method", "session/prompt"},
                {"params", c.params(script(c.work.str(), other.str()))}});
  json params = c.params(script(other.str(), c.work.str()));
  params["sessionId"] = second;
  c.agent.send({{"jsonrpc", "2.0"}, {"id", 99}, {"method", "session/prompt"}, {"params", params}});
  int answers = 0;
  c.agent.wait_for(
      [&](const json& m) { return !m.contains("method") && m.contains("result") && ++answers == 2; });
  int completed = 0;
  for (const auto& u : c.updates("tool_call_update")) completed += u.value("status", "") == "completed";
  CHECK(completed == 2);
}

TEST_CASE("a second prompt to a session in the middle of one is refused and the first goes on") {
  conversation c;
  c.agent.send(
      {{"jsonrpc", "2.0"}, {"id", 99}, {"method", "session/prompt"}, {"params", c.params("ask wait?")}});
  const auto question =
      c.agent.wait_for([](const json& m) { return m.value("method", "") == "session/request_permission"; });
  CHECK(c.agent.call("session/prompt", c.params("say no"))["error"]["code"] == -32600);
  c.agent.send({{"jsonrpc", "2.0"},
                {"id", question["id"]},
                {"result", {{"outcome", {{"outcome", "selected"}, {"optionId", "allow"}}}}}});
  const auto answer = c.agent.wait_for(
      [](const json& m) { return !m.contains("method") && m.value("id", json()) == json(99); });
  CHECK(answer["result"]["stopReason"] == "end_turn");
}

TEST_CASE("a session is loaded in a new process and replays its conversation with the user's words") {
  scratch_folder home, work;
  std::string session;
  std::vector<json> first;
  {
    agent_pipes agent({SCRIPTED_AGENT, "--home", home.str()});
    session = agent.call("session/new",
                         {{"cwd", work.str()}, {"mcpServers", json::array()}})["result"]["sessionId"];
    agent.call("session/set_mode", {{"sessionId", session}, {"modeId", "careful"}});
    agent.seen.clear();
    agent.call(
        "session/prompt",
        {{"sessionId", session}, {"prompt", json::array({{{"type", "text"}, {"text", "say hello\nlist"}}})}});
    for (const auto& m : agent.seen) {
      if (!m.contains("method")) continue;
      const auto& kind = m["params"]["update"]["sessionUpdate"];
      if (kind != "usage_update") first.push_back(m["params"]["update"]);
    }
  }
  agent_pipes agent({SCRIPTED_AGENT, "--home", home.str()});
  const auto loaded = agent.call(
      "session/load", {{"sessionId", session}, {"cwd", work.str()}, {"mcpServers", json::array()}});
  CHECK(loaded["result"]["modes"]["currentModeId"] == "careful");
  std::vector<json> replayed;
  for (const auto& m : agent.seen) {
    if (m.contains("method")) replayed.push_back(m["params"]["update"]);
  }
  REQUIRE(!replayed.empty());
  CHECK(replayed.front()["sessionUpdate"] == "user_message_chunk");
  CHECK(replayed.front()["content"]["text"] == "say hello\nlist");
  replayed.erase(replayed.begin());
  CHECK(replayed == first);
}

TEST_CASE(
    "an unknown session, an unknown method and a folder that is not there are refused with ACP's numbers") {
  conversation c;
  const json load = {{"sessionId", "../../etc/passwd"}, {"cwd", c.work.str()}, {"mcpServers", json::array()}};
  CHECK(c.agent.call("session/load", load)["error"]["code"] == -32002);
  CHECK(c.agent.call("session/fly", json::object())["error"]["code"] == -32601);
  CHECK(c.agent.call("session/new", {{"cwd", "/no/such/folder"}})["error"]["code"] == -32602);
  CHECK(c.agent.call("session/new", {{"cwd", "relative"}})["error"]["code"] == -32602);
  c.agent.send_line("this is not JSON");
  CHECK(c.agent.next()["error"]["code"] == -32700);
}

TEST_CASE(
    "a script with a line that is no directive is refused with the line's number before anything is done") {
  conversation c;
  const auto answer = c.prompt("write x.txt hello\nfly to the moon");
  CHECK(answer["error"]["code"] == -32602);
  CHECK(answer["error"]["data"]["line"] == 2);
  CHECK_FALSE(std::filesystem::exists(c.work.path() / "x.txt"));
}

TEST_CASE("a prompt in prose does a small job with every kind of update and asks once") {
  conversation c;
  std::ofstream(c.work.path() / "README.md") << "# A project\n";
  std::system(("git -C " + c.work.str() + " init -q").c_str());
  const auto answer = c.prompt("Write a haiku about git\nEND\nrun away");
  CHECK(answer["result"]["stopReason"] == "end_turn");
  CHECK(c.asked() == 1);
  for (const auto* kind : {"agent_thought_chunk", "agent_message_chunk", "plan", "tool_call",
                           "tool_call_update", "usage_update", "session_info_update"}) {
    CHECK_MESSAGE(!c.updates(kind).empty(), kind);
  }
  CHECK(read_file(c.work.path() / "SCRIPTED_NOTES.md").find("> END\n> run away\n") != std::string::npos);
  CHECK(c.updates("session_info_update").front()["title"] == "Write a haiku about git");
  const auto plan = c.updates("plan").back();
  for (const auto& entry : plan["entries"]) CHECK(entry["status"] == "completed");
  for (const auto& u : c.updates("tool_call_update")) CHECK(u.value("status", "") != "failed");
  c.prompt("And now in German");
  CHECK(read_file(c.work.path() / "SCRIPTED_NOTES.md").find("> And now in German\n") != std::string::npos);
}

TEST_CASE(
    "a spawned process outlives the turn and a command's own background processes do not block its end") {
  conversation c({"--mode", "full"});
  c.prompt("spawn sleep 300\nrun sleep 300 & echo $!");
  const auto updates = c.updates("tool_call_update");
  pid_t spawned = 0, background = 0;
  for (const auto& u : updates) {
    if (!u.contains("rawOutput")) continue;
    if (u["rawOutput"].contains("pid")) spawned = u["rawOutput"]["pid"];
    if (u["rawOutput"].contains("output"))
      background = std::stoi(u["rawOutput"]["output"].get<std::string>());
  }
  REQUIRE(spawned > 0);
  REQUIRE(background > 0);
  CHECK(process_lives(spawned));
  ::kill(spawned, SIGKILL);
  ::kill(background, SIGKILL);
}

TEST_CASE("output that is not UTF-8 or too long arrives as valid JSON, cut and with a mark") {
  conversation c({"--mode", "full"});
  c.prompt("run printf '\\377\\376'; head -c 300000 /dev/zero | tr '\\0' x");
  const auto last = c.updates("tool_call_update").back();
  CHECK(last["status"] == "completed");
  CHECK(last["rawOutput"]["output"].get<std::string>().size() < (150u << 10));
  CHECK(last["content"][0]["content"]["text"].get<std::string>().find("more bytes were not kept]") !=
        std::string::npos);
}

TEST_CASE("fail, stop, garbage and crash do what they say") {
  conversation c;
  const auto failed = c.prompt("say before\nfail the disk is on fire");
  CHECK(failed["error"]["code"] == -32603);
  CHECK(failed["error"]["message"] == "the disk is on fire");
  CHECK(c.prompt("stop refusal")["result"]["stopReason"] == "refusal");
  c.prompt("garbage this is { not JSON");
  bool garbage = false;
  for (const auto& m : c.agent.seen) garbage |= m.value("not_json", "") == "this is { not JSON";
  CHECK(garbage);
  c.agent.send(
      {{"jsonrpc", "2.0"}, {"id", 99}, {"method", "session/prompt"}, {"params", c.params("crash 42")}});
  CHECK(c.agent.wait_exit() == 42);
}

TEST_CASE("the end of its input and SIGTERM end the agent and what it runs") {
  for (const bool by_signal : {false, true}) {
    conversation c({"--mode", "full"});
    c.agent.send({{"jsonrpc", "2.0"},
                  {"id", 99},
                  {"method", "session/prompt"},
                  {"params", c.params("run echo $$ > pid; sleep 300; true")}});
    REQUIRE(eventually([&] { return !read_file(c.work.path() / "pid").empty(); }));
    const auto child = std::stoi(read_file(c.work.path() / "pid"));
    if (by_signal)
      ::kill(c.agent.pid(), SIGTERM);
    else
      c.agent.close_stdin();
    CHECK(c.agent.wait_exit() == 0);
    CHECK_FALSE(process_lives(child));
  }
}

TEST_CASE("a list of sessions names the folder and the title of each") {
  conversation c;
  c.prompt("title The first one");
  const auto all = c.agent.call("session/list", json::object())["result"]["sessions"];
  REQUIRE(all.size() == 1);
  CHECK(all[0]["sessionId"] == c.session);
  CHECK(all[0]["cwd"] == c.work.str());
  CHECK(all[0]["title"] == "The first one");
}

TEST_CASE("it can be told to be unusable from its start") {
  scratch_folder home;
  agent_pipes dying({SCRIPTED_AGENT, "--home", home.str(), "--start", "die"});
  CHECK(dying.wait_exit() == 3);
  agent_pipes babbling({SCRIPTED_AGENT, "--home", home.str(), "--start", "garbage"});
  CHECK(babbling.next().contains("not_json"));
  agent_pipes silent({SCRIPTED_AGENT, "--home", home.str(), "--start", "silent"});
  silent.send(
      {{"jsonrpc", "2.0"}, {"id", 0}, {"method", "initialize"}, {"params", {{"protocolVersion", 1}}}});
  silent.close_stdin();
  CHECK(silent.wait_exit() == 0);
  CHECK(silent.next().contains("end"));
}
