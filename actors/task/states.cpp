#include <array>

#include "actors/task/task.h"

namespace troupe::actors {
namespace {

// Of a task that lives, the status says what its sessions and its sandbox do: any of these may follow any
// other.
constexpr std::array<std::string_view, 6> live = {"queued",  "provisioning", "idle",
                                                  "running", "needs_input",  "error"};
constexpr std::array<std::string_view, 6> events = {"waits", "prepares", "rests", "runs", "asks", "fails"};
constexpr std::array<std::string_view, 4> live_commands = {"task.create_session", "task.send_message",
                                                           "task.remove_session", "task.kill"};

constexpr transition others[] = {
    {"idle", "task.refresh_diff", "idle"},
    {"running", "task.refresh_diff", "running"},
    {"needs_input", "task.refresh_diff", "needs_input"},
    {"error", "task.refresh_diff", "error"},
    {"idle", "task.commit", "idle"},
    {"running", "task.commit", "running"},
    {"needs_input", "task.commit", "needs_input"},
    {"error", "task.commit", "error"},

    {"idle", "task.push", "idle"},
    {"running", "task.push", "running"},
    {"needs_input", "task.push", "needs_input"},
    {"error", "task.push", "error"},
    {"idle", "task.update_from_base", "idle"},
    {"error", "task.update_from_base", "error"},
    {"idle", "task.abort_update", "idle"},
    {"error", "task.abort_update", "error"},

    {"queued", "task.archive", "archiving"},
    {"idle", "task.archive", "archiving"},
    {"error", "task.archive", "archiving"},
    {"archiving", "archived", "archived"},
    {"archiving", "fails", "error"},
    {"archived", "task.unarchive", "idle"},

    {"error", "task.retry", "idle"},
    {"killed", "task.retry", "idle"},
    {"archiving", "task.kill", "killed"},

    {"archiving", "task.delete", "deleting"},
    {"archived", "task.delete", "deleting"},
    {"killed", "task.delete", "deleting"},
    {"deleting", "task.delete", "deleting"},
};

constexpr std::size_t count = live.size() * (events.size() + live_commands.size() + 1) + std::size(others);

constexpr auto build() {
  std::array<transition, count> table{};
  std::size_t n = 0;
  for (const auto from : live) {
    for (std::size_t e = 0; e < events.size(); ++e) table[n++] = {from, events[e], live[e]};
    for (const auto command : live_commands)
      table[n++] = {from, command, command == "task.kill" ? "killed" : from};
    table[n++] = {from, "task.delete", "deleting"};
  }
  for (const auto& t : others) table[n++] = t;
  return table;
}

constexpr auto table = build();

}  // namespace

std::span<const transition> task_transitions() {
  return table;
}

}  // namespace troupe::actors
