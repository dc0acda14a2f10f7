#include "runtime/upgrade.h"

#include <algorithm>
#include <map>
#include <span>
#include <string>

#include "runtime/backup.h"
#include "runtime/host.h"
#include "runtime/host_core.h"
#include "runtime/tables.h"

namespace troupe {

namespace fs = std::filesystem;

namespace {

int newest(std::span<const storage::migration> steps) {
  return steps.empty() ? 0 : steps.back().version;
}

std::map<std::string, int> known_to(const catalog& kinds) {
  std::map<std::string, int> all{{"runtime", newest(runtime_tables())}};
  for (const auto* k : kinds.kinds()) all[std::string(k->name)] = newest(k->schema.migrations);
  return all;
}

}  // namespace

fs::path before_upgrade(const fs::path& data) {
  return data / "before-upgrade";
}

void prepare_upgrade(host& h) {
  auto& core = h.core();
  const auto found = core.dir.components();
  const auto known = known_to(core.kinds);
  std::string steps;
  for (const auto& [name, is] : found) {
    const auto it = known.find(name);
    if (it == known.end() || it->second == is) continue;
    const auto step = name + " " + std::to_string(is) + " to " + std::to_string(it->second);
    if (it->second < is) {
      throw storage::error(storage::failure::newer_schema, 0, core.dir.data(),
                           "the data folder " + core.dir.data().string() +
                               " was served by a newer program (" + step +
                               "): serve it with that one, or restore a backup that is older");
    }
    steps += (steps.empty() ? "" : ", ") + step;
  }
  if (!steps.empty()) {
    const auto place = before_upgrade(core.dir.data());
    core.log("upgrade", "tables change (" + steps + "); first a backup of the folder to " + place.string());
    backup_options o;
    for (const auto* k : core.kinds.kinds()) o.kinds.emplace_back(k->name);
    const auto made = back_up(h, place, o);
    core.log("upgrade", std::to_string(made.actors) + " actors copied to " + made.at.string() +
                            "; each actor's file is migrated when it is woken");
    auto all = backups_in(place);
    for (std::size_t n = 0; n + kept_before_upgrade < all.size(); ++n) fs::remove_all(all[n]);
  }
  const auto recorded = [&](const auto& one) {
    const auto it = found.find(one.first);
    return it != found.end() && it->second == one.second;
  };
  if (!std::ranges::all_of(known, recorded)) core.dir.components(known);
}

}  // namespace troupe
