// The folder of tools: agents from npm, and Node where the system's is too old, for all sandboxes to read.
//
// TOOLS/NAME/VERSION is one installation, whole or not there; TOOLS/NAME/current leads to the one in use. The
// one before it stays, for agents that run from it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agents/registry.h"

namespace troupe::cli {

/// `given`; TROUPE_TOOLS; XDG_DATA_HOME/troupe/tools; ~/.local/share/troupe/tools.
std::filesystem::path tools_folder(const std::string& given);

/// The version that TOOLS/NAME/current leads to.
std::optional<std::string> installed_version(const std::filesystem::path& tools, const std::string& name);

/// The major version of the Node that a sandbox has from the system; 0: none.
int system_node();
/// The Node that such an agent runs on: "24.21.0" of the tools, or "20 of the system"; nothing when none is
/// new enough.
std::optional<std::string> node_for(const std::filesystem::path& tools, const agents::description&);

/// One package set as one installation. `programs`: below its folder, any one of which must be there then.
struct to_install {
  std::string name;
  std::string version;
  std::vector<agents::npm_package> packages;
  std::vector<std::string> programs;
};
to_install installation_of(const agents::description&, const std::string& version);
to_install installation_of(const agents::node_release&);

/// Replaces `current` when npm has done its work, and leaves everything as it was when not. One at a time on
/// a folder. Throws failure with npm's own words.
void install(const std::filesystem::path& tools, const to_install&);

}  // namespace troupe::cli
