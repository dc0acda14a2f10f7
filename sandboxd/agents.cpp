#include "sandboxd/agents.h"

#include <cerrno>

#include "sandboxd/run_program.h"

namespace troupe::sandboxd {
namespace {

constexpr auto install_limit = std::chrono::minutes(10);
constexpr std::size_t install_output_bytes = 16 * 1024;

std::vector<std::string> capabilities_of_acp() {
  return {"planMode",         "permissions",      "toolCalls",   "toolResults",     "textMessages",
          "images",           "sessionLifecycle", "errorEvents", "reasoning",       "status",
          "commandExecution", "fileChanges",      "mcpTools",    "streamingDeltas", "itemStarted"};
}

agent from_package(std::string id, std::string name, std::string program, std::vector<std::string> arguments,
                   std::string package, std::string version, std::vector<std::string> credentials) {
  agent out;
  out.id = std::move(id);
  out.name = std::move(name);
  out.package_programs = {"node_modules/.bin/" + program};
  out.programs = {std::move(program)};
  out.arguments = std::move(arguments);
  out.package = std::move(package);
  out.version = std::move(version);
  out.credentials = std::move(credentials);
  out.capabilities = capabilities_of_acp();
  return out;
}

constexpr const char* mock_options = R"([
{"id":"model","name":"Model","category":"model","type":"select","currentValue":"mock",
 "options":[{"value":"mock","name":"Mock"},{"value":"mock-fast","name":"Mock Fast"}]},
{"id":"mode","name":"Mode","category":"mode","type":"select","currentValue":"normal",
 "options":[{"value":"normal","name":"Normal"},{"value":"plan","name":"Plan"}]},
{"id":"thought_level","name":"Thought Level","category":"thought_level","type":"select","currentValue":"low",
 "options":[{"value":"low","name":"Low"},{"value":"medium","name":"Medium"},{"value":"high","name":"High"}]}])";

constexpr const char* claude_options = R"([
{"id":"mode","name":"Mode","category":"mode","type":"select","currentValue":"default",
 "options":[{"value":"default","name":"Default"},{"value":"acceptEdits","name":"Accept Edits"},
 {"value":"plan","name":"Plan"},{"value":"dontAsk","name":"Don't Ask"},{"value":"auto","name":"Auto"}]}])";

constexpr const char* codex_options = R"([
{"id":"mode","name":"Mode","category":"mode","type":"select","currentValue":"auto",
 "options":[{"value":"read-only","name":"Read Only"},{"value":"auto","name":"Auto"},
 {"value":"full-access","name":"Full Access"}]}])";

}  // namespace

const std::vector<std::string>& capability_names() {
  static const std::vector<std::string> names{
      "planMode",        "permissions", "questions",        "toolCalls",        "toolResults",
      "textMessages",    "images",      "fileAttachments",  "sessionLifecycle", "errorEvents",
      "reasoning",       "status",      "commandExecution", "fileChanges",      "mcpTools",
      "streamingDeltas", "itemStarted", "sharedProcess"};
  return names;
}

std::vector<agent> known_agents(const std::string& scripted_program) {
  std::vector<agent> out;

  auto claude =
      from_package("claude", "Claude Code", "claude-agent-acp", {}, "@agentclientprotocol/claude-agent-acp",
                   "0.49.0", {"ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN"});
  // IS_SANDBOX: any other non-empty value makes the program quit when it runs as root.
  claude.environment = {
      {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"}, {"DISABLE_AUTOUPDATER", "1"}, {"IS_SANDBOX", "1"}};
  claude.config_options = claude_options;
  out.push_back(std::move(claude));

  auto codex = from_package("codex", "Codex", "codex-acp", {}, "@zed-industries/codex-acp", "0.16.0",
                            {"OPENAI_API_KEY", "CODEX_API_KEY"});
  // The native program first: its launcher leaves it running when it is told to end.
  codex.package_programs.insert(codex.package_programs.begin(),
                                {"node_modules/@zed-industries/codex-acp-linux-x64/bin/codex-acp",
                                 "node_modules/@zed-industries/codex-acp-linux-arm64/bin/codex-acp"});
  codex.config_options = codex_options;
  out.push_back(std::move(codex));

  out.push_back(from_package("opencode", "OpenCode", "opencode", {"acp"}, "opencode-ai", "1.18.33", {}));
  out.push_back(from_package("amp", "Amp", "amp-acp", {}, "", "", {"AMP_API_KEY"}));
  out.push_back(from_package("pi", "Pi", "pi-acp", {}, "pi-acp", "0.0.34",
                             {"ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY"}));
  out.push_back(from_package("cursor", "Cursor", "cursor-agent", {"acp"}, "", "", {"CURSOR_API_KEY"}));

  agent mock;
  mock.id = "mock";
  mock.name = "Mock";
  mock.built_in = true;
  mock.capabilities = capability_names();
  mock.capabilities.pop_back();
  mock.config_options = mock_options;
  out.push_back(std::move(mock));

  out.push_back(from_package("gemini", "Gemini", "gemini", {"--acp"}, "@google/gemini-cli", "0.61.0",
                             {"GEMINI_API_KEY"}));

  agent scripted;
  scripted.id = "scripted";
  scripted.name = "Scripted";
  if (!scripted_program.empty()) scripted.programs.push_back(scripted_program);
  scripted.programs.insert(scripted.programs.end(), {"/usr/lib/troupe/scripted-agent", "scripted-agent"});
  scripted.capabilities = capabilities_of_acp();
  out.push_back(std::move(scripted));
  return out;
}

agent_registry::agent_registry(place& where, std::vector<agent> agents, std::vector<std::string> tools)
    : place_(where), agents_(std::move(agents)), tools_(std::move(tools)) {}

const agent* agent_registry::find(const std::string& id) const {
  for (auto& a : agents_)
    if (a.id == id) return &a;
  return nullptr;
}

// Where the published server keeps launchers, so that what was put there for it serves here too.
std::string agent_registry::data_folder() const {
  auto data = place_.environment("XDG_DATA_HOME");
  auto base = data && !data->empty() ? *data : place_.home() + "/.local/share";
  return base + "/sandbox-agent/bin/agent_processes";
}

std::string agent_registry::install_folder(const agent& which) const {
  return data_folder() + "/" + which.id;
}

awaitable<outcome<std::vector<std::string>>> agent_registry::command(const agent& which) {
  std::vector<std::string> candidates{data_folder() + "/" + which.id + "-acp"};
  for (auto& p : which.package_programs) candidates.push_back(install_folder(which) + "/" + p);
  for (auto& folder : tools_)
    for (auto& p : which.package_programs) candidates.push_back(folder + "/" + p);
  candidates.insert(candidates.end(), which.programs.begin(), which.programs.end());
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    auto found = co_await place_.find_program(candidates[i]);
    if (!found) continue;
    std::vector<std::string> line{found.value()};
    // A launcher is a command line of its own.
    if (i > 0) line.insert(line.end(), which.arguments.begin(), which.arguments.end());
    co_return line;
  }
  co_return os_error{ENOENT, "find the program of the agent " + which.id};
}

awaitable<agent_registry::install_result> agent_registry::install(const agent& which, std::string version) {
  install_result out;
  auto line = co_await command(which);
  if (which.package.empty()) {
    if (line.ok()) {
      out.ok = true;
      out.artifact = installed_artifact{"agent_process", line.value().front(), "local_path", ""};
    } else {
      out.failure = "there is no npm package for " + which.id + ": put its program (" +
                    which.programs.front() + ") into PATH, or an executable at " + data_folder() + "/" +
                    which.id + "-acp";
    }
    co_return out;
  }
  auto folder = install_folder(which);
  auto made = co_await place_.make_directory(folder);
  if (!made) {
    out.failure = made.error().text;
    co_return out;
  }
  if (version.empty()) version = which.version;
  run_spec spec;
  spec.process.argv = {"npm",      "install", "--ignore-scripts",           "--no-audit", "--no-fund",
                       "--prefix", folder,    which.package + "@" + version};
  spec.process.directory = folder;
  spec.limit = install_limit;
  spec.max_output_bytes = install_output_bytes;
  auto ran = co_await run_program(place_, std::move(spec));
  if (!ran) {
    out.failure = "cannot start npm: " + ran.error().text;
    co_return out;
  }
  if (ran.value().how.code != 0) {
    auto& text = ran.value().error.bytes;
    out.failure = ran.value().timed_out ? "npm did not end in time\n" + text : text;
    co_return out;
  }
  line = co_await command(which);
  if (!line) {
    out.failure = "npm installed " + which.package + ", but its program is not there";
    co_return out;
  }
  out.ok = true;
  out.artifact = installed_artifact{"agent_process", line.value().front(), "registry", version};
  co_return out;
}

bool agent_registry::has_credentials(const agent& which) const {
  if (which.credentials.empty()) return true;
  for (auto& name : which.credentials)
    if (auto value = place_.environment(name); value && !value->empty()) return true;
  return false;
}

}  // namespace troupe::sandboxd
