#include "agents/registry.h"

#include <sys/utsname.h>

#include <algorithm>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace troupe::agents {

// Compiled in from registry.json.
extern const char registry_text[];

namespace {

using nlohmann::json;
using texts = std::vector<std::string>;

npm_package package_of(const std::string& text) {
  const auto at = text.rfind('@');  // a scope begins with one too
  if (at == std::string::npos || at == 0)
    throw std::logic_error("agents/registry.json: " + text + " names no version");
  return {text.substr(0, at), text.substr(at + 1)};
}

description description_of(const json& from) {
  description out;
  out.id = from.at("id");
  out.name = from.at("name");
  for (const auto& text : from.value("packages", texts())) out.packages.push_back(package_of(text));
  out.package_programs = from.value("package_programs", texts());
  out.programs = from.at("programs").get<texts>();
  out.arguments = from.value("arguments", texts());
  out.node = from.value("node", 0);
  if (const auto given = from.find("environment"); given != from.end())
    for (const auto& [name, value] : given->items()) out.environment.emplace_back(name, value);
  out.credentials = from.value("credentials", texts());
  if (const auto options = from.find("config_options"); options != from.end())
    out.config_options = options->dump();
  out.known = from.value("known", texts());
  return out;
}

struct contents {
  std::vector<description> agents;
  node_release node;

  contents() {
    const auto read = json::parse(registry_text);
    for (const auto& one : read.at("agents")) agents.push_back(description_of(one));
    const auto& of_node = read.at("node");
    utsname machine{};
    ::uname(&machine);
    node.package = {of_node.at("package").value(machine.machine, ""), of_node.at("version")};
    node.program = "node_modules/" + node.package.name + "/" + of_node.at("program").get<std::string>();
  }
};

const contents& registry() {
  static const contents read;
  return read;
}

}  // namespace

const std::string& description::version() const {
  static const std::string none;
  return packages.empty() ? none : packages.front().version;
}

const std::vector<description>& all() {
  return registry().agents;
}

const description* find(std::string_view id) {
  const auto found = std::ranges::find(all(), id, &description::id);
  return found == all().end() ? nullptr : &*found;
}

const node_release& node() {
  return registry().node;
}

std::string current_folder(std::string_view name) {
  return std::string(name) + "/current";
}

}  // namespace troupe::agents
