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

constexpr const char* mock_options = R"([
{"id":"model","name":"Model","category":"model","type":"select","currentValue":"mock",
 "options":[{"value":"mock","name":"Mock"},{"value":"mock-fast","name":"Mock Fast"}]},
{"id":"mode","name":"Mode","category":"mode","type":"select","currentValue":"normal",
 "options":[{"value":"normal","name":"Normal"},{"value":"plan","name":"Plan"}]},
{"id":"thought_level","name":"Thought Level","category":"thought_level","type":"select","currentValue":"low",
 "options":[{"value":"low","name":"Low"},{"value":"medium","name":"Medium"},{"value":"high","name":"High"}]}])";

agent mock() {
  agent out;
  out.id = "mock";
  out.name = "Mock";
  out.built_in = true;
  out.capabilities = capability_names();
  out.capabilities.pop_back();
  out.config_options = mock_options;
  return out;
}

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
  for (const auto& described : agents::all()) {
    // The published server lists its own in this order.
    if (described.id == "gemini") out.push_back(mock());
    agent one;
    static_cast<agents::description&>(one) = described;
    one.capabilities = capabilities_of_acp();
    if (one.id == "scripted") {
      one.programs.insert(one.programs.begin(), "/usr/lib/troupe/scripted-agent");
      if (!scripted_program.empty()) one.programs.insert(one.programs.begin(), scripted_program);
    }
    out.push_back(std::move(one));
  }
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

// Node is named where one was brought along, so that the PATH of what the agent runs stays the system's.
awaitable<outcome<std::vector<std::string>>> agent_registry::start_of(const agent& which, std::string program,
                                                                      bool of_package) {
  auto found = co_await place_.find_program(program);
  if (!found) co_return found.error();
  std::vector<std::string> line;
  if (of_package && which.node > 0) {
    for (auto& folder : tools_) {
      auto node = co_await place_.find_program(folder + "/" + agents::current_folder("node") + "/" +
                                               agents::node().program);
      if (!node || !line.empty()) continue;
      line.push_back(node.value());
    }
    if (line.empty()) line.push_back("node");
  }
  line.push_back(found.value());
  line.insert(line.end(), which.arguments.begin(), which.arguments.end());
  co_return line;
}

awaitable<outcome<std::vector<std::string>>> agent_registry::command(const agent& which) {
  // A launcher is a command line of its own.
  auto launcher = co_await place_.find_program(data_folder() + "/" + which.id + "-acp");
  if (launcher) co_return std::vector<std::string>{launcher.value()};
  std::vector<std::string> folders{install_folder(which)};
  for (auto& folder : tools_) folders.push_back(folder + "/" + agents::current_folder(which.id));
  for (auto& folder : folders) {
    for (auto& program : which.package_programs) {
      auto line = co_await start_of(which, folder + "/" + program, true);
      if (line) co_return line;
    }
  }
  for (auto& program : which.programs) {
    auto line = co_await start_of(which, program, false);
    if (line) co_return line;
  }
  co_return os_error{ENOENT, "find the program of the agent " + which.id};
}

awaitable<agent_registry::install_result> agent_registry::install(const agent& which, std::string version) {
  install_result out;
  auto line = co_await command(which);
  if (which.packages.empty()) {
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
  if (version.empty()) version = which.version();
  run_spec spec;
  spec.process.argv = {"npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder};
  for (auto& package : which.packages) {
    const bool own = &package == &which.packages.front();
    spec.process.argv.push_back(package.name + "@" + (own ? version : package.version));
  }
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
    out.failure = "npm installed " + which.packages.front().name + ", but its program is not there";
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
