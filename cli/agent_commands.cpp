#include <algorithm>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>

#include "agents/registry.h"
#include "cli/agent_check.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/subcommand.h"
#include "cli/tools.h"

namespace troupe::cli {

namespace fs = std::filesystem;

namespace {

struct options {
  std::string name, version, tools;
  std::vector<std::string> environment;
};

const agents::description& named(const std::string& name) {
  if (const auto* found = agents::find(name)) return *found;
  std::vector<std::string> known;
  for (const auto& one : agents::all()) known.push_back(one.id);
  throw misused(fmt::format("there is no agent {}", name),
                fmt::format("known are {}", fmt::join(known, ", ")));
}

bool from_npm(const agents::description& agent) {
  return !agent.packages.empty();
}

json described(const agents::description& agent, const fs::path& tools) {
  json packages = json::array();
  for (const auto& one : agent.packages) packages.push_back(one.name + "@" + one.version);
  const auto text = [](const std::optional<std::string>& value) {
    return value ? json(*value) : json(nullptr);
  };
  return {{"agent", agent.id},
          {"name", agent.name},
          {"installed", text(installed_version(tools, agent.id))},
          {"version", agent.version().empty() ? json(nullptr) : json(agent.version())},
          {"packages", std::move(packages)},
          {"node", agent.node},
          {"credentials", agent.credentials},
          {"known", agent.known}};
}

void list(context& c, const options& o) {
  const auto tools = tools_folder(o.tools);
  json rows = json::array();
  table t({"AGENT", "NAME", "INSTALLED", "PINNED", "NODE", "KEY, ONE OF"});
  for (const auto& agent : agents::all()) {
    rows.push_back(described(agent, tools));
    const auto installed = installed_version(tools, agent.id);
    const bool own = agent.id == "scripted";
    t.row({agent.id, agent.name,
           own         ? "with troupe"
           : installed ? plain(*installed)
                       : "-",
           from_npm(agent) ? agent.version()
           : own           ? "-"
                           : "not from npm",
           agent.node > 0 ? std::to_string(agent.node) : "-",
           agent.credentials.empty() ? "-" : fmt::format("{}", fmt::join(agent.credentials, " "))});
  }
  if (c.print_json({{"tools", tools.string()}, {"agents", rows}})) return;
  c.out.write(t.text(c.out));
  c.out.line();
  c.out.line(fmt::format("  in {}", tools.string()));
  c.out.line("  troupe agent install claude   brings one for every sandbox of this machine");
}

void install_one(context& c, const options& o) {
  const auto& agent = named(o.name);
  const auto tools = tools_folder(o.tools);
  if (!from_npm(agent)) {
    if (agent.id == "scripted") throw misused("the scripted agent comes with troupe: nothing to install");
    throw failure(fmt::format("{} does not come from npm", agent.name),
                  fmt::format("put its program at {}, or have a repository's setup command bring it",
                              (tools / "bin" / agent.programs.front()).string()));
  }
  if (!node_for(tools, agent)) {
    const auto& node = agents::node();
    if (node.package.name.empty())
      throw failure(fmt::format("{} needs Node {} or newer, and there is none for this machine", agent.name,
                                agent.node),
                    "install one at /usr/local/bin/node");
    if (!c.as_json)
      c.out.line(fmt::format("{} needs Node {}: bringing {} {}", agent.name, agent.node, node.package.name,
                             node.package.version));
    install(tools, installation_of(node));
  }
  const auto what = installation_of(agent, o.version);
  if (!c.as_json) c.out.line(fmt::format("installing {} {} with npm", agent.name, what.version));
  install(tools, what);
  auto now = described(agent, tools);
  now["path"] = (tools / agent.id / what.version).string();
  if (c.print_json(now)) return;
  c.out.line(fmt::format("{}  {}  {}", c.out.paint(style::bold, agent.id),
                         c.out.paint(style::green, what.version),
                         c.out.paint(style::dim, now["path"].get<std::string>())));
  if (!agent.credentials.empty())
    c.out.line(fmt::format("  key   store it as {}: docs/agents.md", fmt::join(agent.credentials, " or ")));
  c.out.line(fmt::format("  next  troupe agent check {}", agent.id));
}

/// What its process gets: --env, and those of its keys that this command has itself.
json environment_of(const agents::description& agent, const std::vector<std::string>& given) {
  json out = json::object();
  for (const auto& name : agent.credentials)
    if (const char* value = std::getenv(name.c_str()); value && *value) out[name] = value;
  for (const auto& pair : given) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      throw misused(fmt::format("--env {} is not NAME=VALUE", pair));
    out[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return out;
}

/// "default, plan" from the names that `list` holds under `id`.
std::string ids(const json& list, const char* id) {
  std::vector<std::string> out;
  for (const auto& one : list)
    if (one.is_object() && one.contains(id) && one[id].is_string())
      out.push_back(plain(one[id].get<std::string>()));
  return fmt::format("{}", fmt::join(out, ", "));
}

struct facts {
  context& c;
  bool bad = false;

  void line(bool good, const char* name, const std::string& value) {
    bad = bad || !good;
    if (c.as_json) return;
    const auto mark = good ? c.out.paint(style::green, "✔") : c.out.paint(style::red, "✘");
    c.out.write(wrapped(fmt::format("  {} {} {}", mark, padded(name, 10), value),
                        static_cast<std::size_t>(c.out.width()), "", std::string(15, ' ')));
  }
  void detail(const char* name, const std::string& value) {
    if (c.as_json || value.empty()) return;
    c.out.write(wrapped(fmt::format("    {} {}", c.out.paint(style::dim, padded(name, 10)), value),
                        static_cast<std::size_t>(c.out.width()), "", std::string(15, ' ')));
  }
};

/// What the agent said of itself at its start.
void tell(facts& f, const json& said) {
  const auto child = [](const json& of, const char* name) {
    const auto at = of.find(name);
    return at == of.end() ? json() : *at;
  };
  if (const auto info = child(said, "agent_info"); info.is_object())
    f.detail("it is", fmt::format("{} {}", plain(info.value("name", "")), plain(info.value("version", ""))));
  if (const auto modes = child(said, "modes"); modes.is_object())
    f.detail("modes", ids(child(modes, "availableModes"), "id"));
  if (const auto models = child(said, "models"); models.is_object())
    f.detail("models", ids(child(models, "availableModels"), "modelId"));
  const auto options = child(said, "config_options"), capabilities = child(said, "capabilities");
  for (const auto& option : options)
    f.detail(plain(option.value("id", "")).c_str(), ids(child(option, "options"), "value"));
  std::vector<std::string> can;
  for (const auto& [name, value] : capabilities.items())
    if (value.is_object() || value == true) can.push_back(plain(name));
  f.detail("can", fmt::format("{}", fmt::join(can, ", ")));
}

void check_one(context& c, const options& o) {
  const auto& agent = named(o.name);
  const auto tools = tools_folder(o.tools);
  facts f{c};
  auto report = described(agent, tools);
  if (!c.as_json) c.out.line(fmt::format("{}  {}", c.out.paint(style::bold, agent.id), agent.name));
  const auto installed = installed_version(tools, agent.id);
  const bool there = !from_npm(agent) || installed;
  if (from_npm(agent))
    f.line(there, "installed",
           installed ? plain(*installed) : fmt::format("no: troupe agent install {}", agent.id));
  const auto node = node_for(tools, agent);
  if (agent.node > 0)
    f.line(node.has_value(), "node",
           node ? *node : fmt::format("none of {} or newer: troupe agent install {}", agent.node, agent.id));
  if (there && (agent.node == 0 || node)) {
    const auto tried = try_start(agent.id, environment_of(agent, o.environment), tools);
    report["start"] = {{"tier", tried.tier}, {"ms", tried.ms}, {"error", tried.error}, {"said", tried.said}};
    if (tried.error.empty()) {
      f.line(true, "starts",
             fmt::format("a session in {}, in a sandbox ({})", duration(std::chrono::milliseconds(tried.ms)),
                         tried.tier));
      tell(f, tried.said);
    } else {
      f.line(false, "starts", plain(tried.error));
    }
  }
  report["ok"] = !f.bad;
  for (const auto& line : agent.known) f.detail("known", line);
  c.print_json(report);
  if (f.bad) throw failure(fmt::format("{} cannot work here", agent.name), "see the lines with ✘");
}

}  // namespace

void add_agent(CLI::App& app, context& c) {
  auto* agent = group(app, "agent", "the agents that tasks can name: what is installed, installing, trying",
                      "  troupe agent list\n  troupe agent install claude\n  troupe agent check claude\n");
  auto o = std::make_shared<options>();
  agent->add_option("--tools", o->tools,
                    "folder of installations (TROUPE_TOOLS; default ~/.local/share/troupe/tools)");
  action(*agent, "list", "the agents that Troupe knows, and which are installed",
         "  troupe agent list\n  troupe agent list --json\n", [&c, o] { list(c, *o); });
  auto* install = action(*agent, "install",
                         "install one from npm for all sandboxes of this machine, with Node if need be",
                         "  troupe agent install codex\n  troupe agent install claude --version 0.49.0\n",
                         [&c, o] { install_one(c, *o); });
  install->add_option("AGENT", o->name, "its name in `troupe agent list`")->required();
  install->add_option("--version", o->version, "of its npm package (default: the pinned one)");
  auto* check = action(*agent, "check", "start one in a throw-away sandbox and show what it says of itself",
                       "  troupe agent check claude\n  CODEX_API_KEY=… troupe agent check codex\n",
                       [&c, o] { check_one(c, *o); });
  check->add_option("AGENT", o->name, "its name in `troupe agent list`")->required();
  check->add_option("--env", o->environment, "NAME=VALUE for its process; repeatable");
}

}  // namespace troupe::cli
