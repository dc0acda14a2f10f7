// Git inside a sandbox: the effects that work on the repository there, through the daemon's processes and
// files alone. The server itself never opens that repository.
#pragma once

#include <filesystem>
#include <memory>

#include "drivers/daemon/daemon_client.h"
#include "drivers/daemon/perform.h"
#include "drivers/git/pool.h"

namespace troupe::drivers::git {

// Of one saved piece of work; beyond it git.save_work fails with `quota`.
inline constexpr std::uint64_t max_bundle_bytes = 1ull << 30;

// What the effects of this folder share. Immutable; what it refers to outlives the host.
struct environment {
  wire::executor ex;
  daemon_client& daemons;
  pool& threads;
  std::filesystem::path data;
  std::vector<std::filesystem::path> repository_roots;
  read_secret secrets;
};
using environment_ptr = std::shared_ptr<const environment>;
using run_ptr = std::shared_ptr<effect_run>;

effect_coroutine checkout(environment_ptr world, run_ptr run);
effect_coroutine diff(environment_ptr world, run_ptr run);
effect_coroutine commit(environment_ptr world, run_ptr run);

// Bundles lie in the task's folder (the actor that asks), two at most, written whole or not at all.
effect_coroutine save_work(environment_ptr world, run_ptr run);
effect_coroutine restore_work(environment_ptr world, run_ptr run);

effect_coroutine push(environment_ptr world, run_ptr run);
effect_coroutine update(environment_ptr world, run_ptr run);
effect_coroutine abort_update(environment_ptr world, run_ptr run);

}  // namespace troupe::drivers::git
