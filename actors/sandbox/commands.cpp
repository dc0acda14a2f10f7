#include "actors/sandbox/handlers.h"
#include "actors/sandbox/sandbox.h"
#include "schemas/sandbox.h"

namespace troupe::actors {

using namespace sandboxes;

const kind& sandbox() {
  const auto members = from::client("member") | from::kind("task") | from::parent();
  const auto admins = from::client("admin") | from::kind("task") | from::parent();
  static const kind k{
      .name = "sandbox",
      .schema = schemas::sandbox,
      .commands =
          {
              // Lifecycle: lifecycle.cpp
              {"sandbox.create", from::parent(), lane::interactive, create, "sandbox.created", true},
              {"sandbox.pause", members, lane::interactive, pause, "sandbox.paused"},
              {"sandbox.resume", members, lane::interactive, resume, "sandbox.resumed"},
              {"sandbox.kill", members, lane::interactive, kill, "sandbox.killed"},
              {"sandbox.start", members, lane::interactive, start, "sandbox.started"},
              {"sandbox.destroy", admins, lane::interactive, destroy, "sandbox.destroyed"},
              {"sandbox.delete", from::parent(), lane::interactive, leave, "sandbox.destroyed"},
              {"sandbox.refresh", members, lane::interactive, refresh},
              // What the world says: outcomes.cpp
              {"sandbox.apply_outcome", from::effect(), lane::interactive, apply_outcome},
              {"sandbox.apply_watch", from::effect(), lane::background, apply_watch},
              {"sandbox.apply_watch_end", from::effect(), lane::background, apply_watch_end},
              {"sandbox.retry_destroy", from::self(), lane::background, retry_destroy},
              // Processes: processes.cpp
              {"sandbox.run", from::client("member"), lane::interactive, run, "sandbox.process_started"},
              {"sandbox.stop_process", from::client("member"), lane::interactive, stop_process,
               "sandbox.process_stopped"},
              {"sandbox.kill_process", from::client("member"), lane::interactive, kill_process,
               "sandbox.process_killed"},
              {"sandbox.remove_process", from::client("member"), lane::interactive, remove_process},
              {"sandbox.send_input", from::client("member"), lane::interactive, send_input},
              {"sandbox.apply_process", from::effect(), lane::interactive, apply_process},
          },
      .queries = {{"sandbox.list_processes", "viewer", list_processes}},
      .snapshot = snapshot,
      .streams = {{"log", "viewer", 20'000}},
  };
  return k;
}

}  // namespace troupe::actors
