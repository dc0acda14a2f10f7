// storage ← runtime ← actors; runtime, wire ← gateway; runtime, wire ← drivers; wire, agents ← drivers,
// sandboxd; all ← cli.
#include <algorithm>

#include <doctest/doctest.h>

#include "tests/project/tree.h"

using namespace troupe::project;

namespace {

struct layer {
  std::string_view folder;
  std::vector<std::string_view> stands_on;
};

// `schemas` and `dashboard` are data compiled in; they include nothing of ours.
const std::vector<layer>& layers() {
  static const std::vector<layer> all{
      {"storage", {"storage"}},
      {"runtime", {"runtime", "storage"}},
      {"actors", {"actors", "runtime", "storage", "schemas"}},
      {"net/wire", {"net/wire"}},
      {"net/gateway", {"net/gateway", "net/wire", "runtime", "storage", "schemas", "dashboard"}},
      {"drivers", {"drivers", "agents", "net/wire", "runtime", "storage"}},
      {"agents", {"agents"}},
      {"sandboxd", {"sandboxd", "agents", "net/wire"}},
      {"cli",
       {"cli", "actors", "agents", "drivers", "net/gateway", "net/wire", "runtime", "storage", "schemas"}},
  };
  return all;
}

const layer* layer_of(const source_file& file) {
  const auto found = std::ranges::find_if(layers(), [&](const layer& l) { return file.below(l.folder); });
  return found == layers().end() ? nullptr : &*found;
}

bool in_folder(std::string_view name, std::string_view folder) {
  return name.starts_with(folder) && name.size() > folder.size() && name[folder.size()] == '/';
}

std::vector<const source_file*> own_sources() {
  return files({".h", ".cpp", ".h.in", ".cpp.in"});
}

// Headers of libraries that stay behind one layer, and the folders that may name them. Tests and benchmarks
// may compare with the bare library.
struct behind {
  std::string_view prefix;
  std::vector<std::string_view> folders;
};

const std::vector<behind>& walls() {
  static const std::vector<behind> all{
      {"caf/", {"runtime"}},
      {"SQLiteCpp", {"storage"}},
      {"sqlite3", {"storage"}},
      {"boost/beast", {"net/wire"}},
      {"git2", {"drivers/git"}},
      {"seccomp.h", {"sandboxd/isolation"}},
      {"prometheus/", {"net/gateway", "cli"}},
      {"CLI/", {"cli", "sandboxd", "examples"}},
      {"spdlog/", {"cli"}},
  };
  return all;
}

}  // namespace

TEST_CASE("a folder includes only what it stands on") {
  int checked = 0;
  for (const auto* file : own_sources()) {
    const auto* layer = layer_of(*file);
    if (!layer) continue;
    for (const auto& [line, name, angled] : includes(*file)) {
      if (angled) continue;
      ++checked;
      const bool stands_on =
          std::ranges::any_of(layer->stands_on, [&](auto folder) { return in_folder(name, folder); });
      CHECK_MESSAGE(stands_on, at(*file, line), " includes \"", name, "\", which is not below ",
                    layer->folder);
    }
  }
  CHECK(checked > 50);
}

TEST_CASE("each library is named behind its wall alone") {
  for (const auto* file : own_sources()) {
    if (file->below("tests") || file->below("bench")) continue;
    for (const auto& [line, name, angled] : includes(*file)) {
      if (!angled) continue;
      for (const auto& wall : walls()) {
        if (!name.starts_with(wall.prefix)) continue;
        const bool inside =
            std::ranges::any_of(wall.folders, [&](auto folder) { return file->below(folder); });
        CHECK_MESSAGE(inside, at(*file, line), " includes <", name, ">, which stays in ",
                      wall.folders.front());
      }
    }
  }
}

TEST_CASE("actors and what they stand on open no socket and start no process") {
  for (const auto* file : files({".h", ".cpp"}, {"actors", "runtime", "storage"})) {
    for (const auto& [line, name, angled] : includes(*file)) {
      const bool outside = angled && (name.starts_with("boost/") || name == "sys/socket.h" ||
                                      name == "spawn.h" || name == "netdb.h" || name == "sys/wait.h");
      CHECK_MESSAGE(!outside, at(*file, line), " includes <", name, ">: only drivers touch the world");
    }
  }
}
