#include "tests/agents/town.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <thread>

#include <doctest/doctest.h>

#include "agents/registry.h"
#include "cli/tools.h"

namespace troupe::agents::testing {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

namespace {

constexpr auto patience = std::chrono::seconds(90);  // of one wait; opencode takes 10 s to start
constexpr auto look_again = std::chrono::milliseconds(10);
constexpr const char* organization = "acme";
constexpr const char* repository = "widgets";
constexpr std::uint16_t inner_port = 7900;  // where sandboxes find the model

fs::path tools() {
  const char* set = std::getenv("TROUPE_TEST_TOOLS");
  return set && *set ? set : AGENT_TOOLS;
}

bool installed() {
  return std::ranges::all_of(tried_agents(), [](const auto& name) {
    return cli::installed_version(tools(), name) == agents::find(name)->version();
  });
}

/// Codex and opencode read their provider from files, which the setup command of the repository writes.
const char* setup_command() {
  return R"(set -e
mkdir -p ~/.codex ~/.config/opencode
cat >~/.codex/config.toml <<'END'
model = "gpt-5.4"
model_provider = "scripted"
[model_providers.scripted]
name = "Scripted"
base_url = "http://127.0.0.1:7900/v1"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
END
cat >~/.config/opencode/opencode.json <<'END'
{"model": "scripted/scripted-model", "small_model": "scripted/scripted-model", "enabled_providers": ["scripted"],
 "provider": {"scripted": {"npm": "@ai-sdk/openai-compatible", "name": "Scripted",
  "options": {"baseURL": "http://127.0.0.1:7900/v1", "apiKey": "any"},
  "models": {"scripted-model": {"name": "Scripted", "tool_call": true, "limit": {"context": 200000, "output": 8000}}}}}}
END
)";
}

}  // namespace

const std::vector<std::string>& tried_agents() {
  static const std::vector<std::string> names{"claude", "codex", "opencode"};
  return names;
}

town* town::get() {
  static std::unique_ptr<town> one;
  static bool asked = false;
  if (!asked) {
    asked = true;
    cli::testing::scratch home;
    const bool reachable =
        installed() ||
        cli::testing::run(home, {"npm", "ping", "--fetch-retries=0", "--fetch-timeout=10000"}).exit_code == 0;
    if (reachable) one.reset(new town);
  }
  if (!one) std::puts("[skipped] npm cannot be reached, and the agents are not installed");
  return one.get();
}

// The tools' own, or the system's.
std::string town::node() {
  const auto own = tools() / agents::current_folder("node") / agents::node().program;
  return fs::exists(own) ? own.string() : "node";
}

town::town() {
  install();
  serve_model();
  const auto made = cli::testing::run(
      home_, {"sh", "-ec",
              "git init -q -b main repo && cd repo && echo '# Widgets' >README.md && "
              "printf 'red\\nblue\\n' >colours.txt && cp \"$0\" ledger-mcp.mjs && git add -A && "
              "git -c user.name=Ada -c user.email=ada@example.org commit -qm first",
              LEDGER_MCP});
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  serve();
  server_->command("access", "access.create_organization",
                   {{"organization", organization}, {"display_name", "Acme"}});
  REQUIRE(eventually([&] {
    try {
      server_->snapshot(std::string("org/") + organization);
      return true;
    } catch (const cli::failure&) {
      return false;
    }
  }));
  // The key of Claude Code, by the name of its variable and nothing else.
  server_->send("PUT", "/v1/secrets/acme/ANTHROPIC_API_KEY", {{"value", "sk-planted-0123456789"}});
  server_->command("org/acme", "org.add_repository",
                   {{"repository", repository},
                    {"url", (home_ / "repo").string()},
                    {"setup_command", setup_command()},
                    {"network", {{"rule", "none"}}},
                    {"environment",
                     {{"ANTHROPIC_BASE_URL", "http://127.0.0.1:" + std::to_string(inner_port)},
                      {"CLAUDE_CODE_MAX_RETRIES", "1"},
                      {"OPENCODE_DISABLE_MODELS_FETCH", "1"}}}});
}

town::~town() {
  // Sandboxes outlive their server: they have to be gone before it is.
  if (server_) {
    eventually([&] {
      const auto org = server_->snapshot(std::string("org/") + organization);
      return org.value("task_count", 0) == 0 && org.at("sandboxes").value("count", 0) == 0;
    });
    serving_->stop();
  }
  serving_.reset();
  if (model_ > 0) {
    ::close(model_input_);
    ::kill(model_, SIGTERM);
    ::waitpid(model_, nullptr, 0);
  }
}

void town::serve() {
  const auto port = model_url_.substr(model_url_.rfind(':') + 1);
  serving_ = std::make_unique<cli::testing::serving>(
      home_, "data",
      std::vector<std::string>{"--repo-root", home_.path().string(), "--tools", tools().string(), "--forward",
                               std::to_string(inner_port) + "=127.0.0.1:" + port, "--max-running", "8"});
  place_ = {serving_->url(), serving_->said().at("token"), "the test"};
  server_ = std::make_unique<cli::api>(place_);
}

void town::kill_server() {
  serving_->kill();
  serve();
}

void town::install() {
  if (installed()) return;
  for (const auto& name : tried_agents()) {
    const auto& agent = *agents::find(name);
    if (agent.node > 0 && !cli::node_for(tools(), agent))
      cli::install(tools(), cli::installation_of(agents::node()));
    cli::install(tools(), cli::installation_of(agent, ""));
  }
}

void town::serve_model() {
  int in[2], out[2];
  REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  std::vector<std::string> words{node(), std::string(SCRIPTED_MODEL) + "/scripted-model.mjs", "--script",
                                 SCRIPT, "--exit-on-stdin-close"};
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  model_ = ::fork();
  if (model_ == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  model_input_ = in[1];
  std::string line;
  pollfd ready{out[0], POLLIN, 0};
  char buffer[512];
  while (line.find('\n') == std::string::npos && ::poll(&ready, 1, 20'000) > 0) {
    const auto got = ::read(out[0], buffer, sizeof buffer);
    if (got <= 0) break;
    line.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(out[0]);
  const auto said = json::parse(line, nullptr, false);
  REQUIRE_MESSAGE(said.is_object(), "the stand-in for the model did not start: " << line);
  model_url_ = said.at("url");
}

json town::requests() {
  cli::api model({model_url_, "", "the test"});
  return model.get("/scripted-model/requests").at("requests");
}

std::vector<std::string> town::files_with(const std::string& bytes) const {
  std::vector<std::string> found;
  for (const auto& one : fs::recursive_directory_iterator(home_ / "data")) {
    // What an agent itself writes, and what waits in its sandbox for the server, is the sandbox's own.
    if (!one.path().filename().string().starts_with("actor.sqlite")) continue;
    std::ifstream file(one.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.find(bytes) != std::string::npos) found.push_back(one.path().string());
  }
  return found;
}

conversation::conversation(town& in, const std::string& agent, const std::string& prompt, answers how)
    : town_(in), how_(std::move(how)) {
  const auto made = town_.server().command(
      "org/acme", "org.create_task", {{"repository", repository}, {"description", prompt}, {"agent", agent}});
  task_ = "org/acme/task/" + made.at("task").get<std::string>();
  REQUIRE(eventually([&] {
    try {
      const auto sessions = town_.server().snapshot(task_).value("sessions", json::array());
      if (sessions.empty()) return false;
      session_ = task_ + "/session/" + sessions[0].at("session").get<std::string>();
      town_.server().snapshot(session_);
      return true;
    } catch (const cli::failure&) {
      return false;
    }
  }));
  reconnect();
}

void conversation::reconnect() {
  live_ = std::make_unique<cli::live>(town_.place());
  entries_.clear();
  seen_ = 0;
  live_->subscribe(session_ + "#transcript");
  live_->subscribe(session_);
}

conversation::~conversation() {
  live_.reset();
  try {
    town_.server().command("org/acme", "org.delete_task",
                           {{"task", task_.substr(task_.rfind('/') + 1)}, {"discard", true}});
  } catch (const cli::failure&) {
    // A task that a failed test left in the middle of something goes with the data folder.
  }
}

void conversation::say(const std::string& prompt, answers how) {
  how_ = std::move(how);
  command("session.prompt", {{"text", prompt}});
}

void conversation::command(const std::string& name, json body) {
  town_.server().command(session_, name, body);
}

void conversation::take(const json& frame) {
  const auto op = frame.value("op", "");
  if (op == "entries")
    for (const auto& framed : frame.at("entries"))
      entries_.push_back(framed.contains("data") ? framed["data"] : framed);
  if (op != "snapshot") return;
  for (const auto& one : frame.at("data").value("permissions", json::array())) {
    const auto id = one.value("permission", "");
    if (std::ranges::find(answered_, id) != answered_.end()) continue;
    answered_.push_back(id);
    const auto said = how_(one);
    if (said.empty()) continue;  // nobody answers this one
    command("session.answer_permission", {{"permission", id}, {"answer", said}});
  }
}

json conversation::wait_for(const std::function<bool(const json& entry)>& wanted) {
  const auto until = clock::now() + patience;
  while (true) {
    while (seen_ < entries_.size())
      if (const auto& entry = entries_[seen_++]; wanted(entry)) return entry;
    const auto frame = live_->next(until);
    if (!frame) break;
    take(*frame);
  }
  std::string told;
  for (const auto& entry : entries_) told += entry.dump().substr(0, 400) + "\n";
  FAIL("what was waited for did not come; the session: "
       << session().dump(1).substr(0, 3000) << "\ntranscript:\n"
       << told << "\ntask error: " << town_.server().snapshot(task_).value("error", ""));
  return {};
}

bool conversation::until(const std::function<bool()>& holds) {
  for (const auto end = clock::now() + std::chrono::seconds(60); clock::now() < end;) {
    if (holds()) return true;
    if (const auto frame = live_->next(clock::now() + look_again)) take(*frame);
  }
  return false;
}

json conversation::turn_end() {
  return wait_for([](const json& entry) { return entry.value("type", "") == "turn_ended"; });
}

std::vector<json> conversation::updates(const std::string& kind) const {
  std::vector<json> out;
  for (const auto& entry : entries_)
    if (entry.value("type", "") == "update" && entry["update"].value("sessionUpdate", "") == kind)
      out.push_back(entry["update"]);
  return out;
}

std::string conversation::words() const {
  std::string out;
  for (const auto& entry : entries_) {
    if (entry.value("type", "") == "prompt") out.clear();
    if (entry.value("type", "") != "update") continue;
    const auto& update = entry["update"];
    if (update.value("sessionUpdate", "") == "agent_message_chunk")
      out += update["content"].value("text", "");
  }
  return out;
}

json conversation::session() {
  return town_.server().snapshot(session_);
}

std::string conversation::diff() {
  town_.server().command(task_, "task.refresh_diff", json::object());
  std::string text;
  REQUIRE(eventually([&] {
    const auto snapshot = town_.server().snapshot(task_);
    return !snapshot.value("diff", json::object()).value("refreshing", false);
  }));
  const auto found = town_.server().query(task_, "task.diff", json::object());
  return found.dump();
}

bool runs(const std::string& words) {
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    // A stream would throw for a process that ends meanwhile.
    std::string line(4096, '\0');
    std::FILE* file = std::fopen((at->path() / "cmdline").c_str(), "r");
    line.resize(file ? std::fread(line.data(), 1, line.size(), file) : 0);
    if (file) std::fclose(file);
    std::ranges::replace(line, '\0', ' ');
    if (line.find(words) != std::string::npos) return true;
  }
  return false;
}

bool eventually(const std::function<bool()>& holds) {
  for (const auto until = clock::now() + std::chrono::seconds(20); clock::now() < until;) {
    if (holds()) return true;
    std::this_thread::sleep_for(look_again);
  }
  return holds();
}

}  // namespace troupe::agents::testing
