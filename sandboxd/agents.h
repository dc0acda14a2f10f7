// The agents that sandboxd serves: those of the registry with what the daemon's contract says of each, and
// finding their programs in a place.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agents/registry.h"
#include "sandboxd/place.h"

namespace troupe::sandboxd {

struct agent : agents::description {
  // Which of the contract's capabilities it has, in words of the contract.
  std::vector<std::string> capabilities;
  bool built_in = false;  // the daemon plays it itself
};

// The capabilities of the contract in its order.
const std::vector<std::string>& capability_names();

// The published seven in their order, then gemini and scripted. `scripted_program`: tried before others when
// not empty.
std::vector<agent> known_agents(const std::string& scripted_program);

struct installed_artifact {
  std::string kind;    // agent_process
  std::string path;    // in the place
  std::string source;  // builtin, registry, local_path
  std::string version;
};

// Finds and installs. Used on the daemon's thread; outlives what it started.
class agent_registry {
 public:
  // `tools`: folders of the place with installations, each at NAME/current; Node may be one.
  agent_registry(place& where, std::vector<agent> agents, std::vector<std::string> tools);

  const std::vector<agent>& all() const { return agents_; }
  const agent* find(const std::string& id) const;

  // The command line of an agent that is there. ENOENT: it is not installed.
  awaitable<outcome<std::vector<std::string>>> command(const agent& which);

  // Installs the package into the home of the place. `failure`: the tail of what npm said.
  struct install_result {
    bool ok = false;
    std::string failure;
    installed_artifact artifact;
  };
  awaitable<install_result> install(const agent& which, std::string version);

  bool has_credentials(const agent& which) const;

  // The built-in agent counts as installed from its first installation on.
  bool built_in_installed() const { return built_in_installed_; }
  void set_built_in_installed() { built_in_installed_ = true; }

 private:
  std::string data_folder() const;
  std::string install_folder(const agent& which) const;
  awaitable<outcome<std::vector<std::string>>> start_of(const agent& which, std::string program,
                                                        bool of_package);

  place& place_;
  std::vector<agent> agents_;
  std::vector<std::string> tools_;
  bool built_in_installed_ = false;
};

}  // namespace troupe::sandboxd
