// The actor `org`: one organization. Coordinator of its tasks and sandboxes; owns settings, members, the
// catalog of repositories, the index of tasks and the summaries that a sidebar shows. Made by `access`.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "actors/transition.h"
#include "runtime/kind.h"

namespace troupe::actors {

const kind& organization();

/// States of a repository of the catalog.
std::span<const transition> repository_transitions();
/// Whether a task has an actor, from the organization's side.
std::span<const transition> task_index_transitions();

namespace organization_limits {
inline constexpr std::int64_t members = 1'000;
inline constexpr std::int64_t repositories = 500;
inline constexpr std::int64_t tasks = 100'000;
inline constexpr std::int64_t sandboxes = 1'000;
inline constexpr int snapshot_tasks = 200;
inline constexpr int snapshot_sandboxes = 200;
/// Rows of the index that one org.list_tasks looks through: a filter that fits nothing must not run out of
/// time.
inline constexpr std::int64_t scanned_rows = 10'000;
/// Bytes of an error that a summary shows; the task has it whole.
inline constexpr std::size_t summary_error = 500;
/// Bytes of git's words that the catalog keeps.
inline constexpr std::size_t repository_error = 4'000;
inline constexpr std::chrono::seconds probe_deadline{60};
}  // namespace organization_limits

}  // namespace troupe::actors
