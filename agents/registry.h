// The agents that Troupe knows, read from `registry.json`: what to install, how each starts, what it needs.
// Whoever adds an agent adds an object there.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::agents {

struct npm_package {
  std::string name;
  std::string version;
};

struct description {
  std::string id;
  std::string name;

  // The npm packages that bring it, its own first. Empty: it does not come from npm.
  std::vector<npm_package> packages;
  // Its programs below the folder that the packages were installed in, best first.
  std::vector<std::string> package_programs;
  // Names for PATH, or absolute paths, best first: tried when no package is there.
  std::vector<std::string> programs;
  std::vector<std::string> arguments;
  // The least major version of Node that its package programs run on; 0: they are native.
  int node = 0;

  // What its process gets beside the place's environment.
  std::vector<std::pair<std::string, std::string>> environment;
  // Variables that hold a key; any one is enough. Empty: it needs none, or has ways of its own.
  std::vector<std::string> credentials;
  // Models and modes that it is known to have: config options of the daemon's API, as JSON text.
  std::string config_options = "[]";
  // For people: what is known of it.
  std::vector<std::string> known;

  // Of its own package; empty without one.
  const std::string& version() const;
};

// The Node that is brought along where the system's is older than an agent needs.
struct node_release {
  npm_package package;  // of this machine's architecture; its name is empty when there is none
  std::string program;  // below the package's folder
};

const std::vector<description>& all();
const description* find(std::string_view id);
const node_release& node();

// Where an installation lies below the folder of tools: NAME/current leads to the version in use.
std::string current_folder(std::string_view name);

}  // namespace troupe::agents
