#include "actors/sandbox/sandbox.h"

namespace troupe::actors {
namespace {

// Names without a dot are what the world answers. An act under way (`doing`) refuses every other but
// destruction.
constexpr transition table[] = {
    {"creating", "sandbox.destroy", "creating"},
    {"creating", "sandbox.delete", "creating"},
    {"creating", "created", "running"},
    {"creating", "failed", "error"},
    {"creating", "destroyed", "destroyed"},

    {"running", "sandbox.pause", "running"},
    {"running", "sandbox.kill", "running"},
    {"running", "sandbox.destroy", "running"},
    {"running", "sandbox.delete", "running"},
    {"running", "sandbox.refresh", "running"},
    {"running", "sandbox.run", "running"},
    {"running", "paused", "paused"},
    {"running", "killed", "stopped"},
    {"running", "lost", "lost"},
    {"running", "destroyed", "destroyed"},

    {"paused", "sandbox.resume", "paused"},
    {"paused", "sandbox.kill", "paused"},
    {"paused", "sandbox.destroy", "paused"},
    {"paused", "sandbox.delete", "paused"},
    {"paused", "sandbox.refresh", "paused"},
    {"paused", "resumed", "running"},
    {"paused", "killed", "stopped"},
    {"paused", "lost", "lost"},
    {"paused", "destroyed", "destroyed"},

    {"stopped", "sandbox.start", "stopped"},
    {"stopped", "sandbox.destroy", "stopped"},
    {"stopped", "sandbox.delete", "stopped"},
    {"stopped", "sandbox.refresh", "stopped"},
    {"stopped", "started", "running"},
    {"stopped", "failed", "error"},
    {"stopped", "lost", "lost"},
    {"stopped", "destroyed", "destroyed"},

    {"lost", "sandbox.start", "lost"},
    {"lost", "sandbox.destroy", "lost"},
    {"lost", "sandbox.delete", "lost"},
    {"lost", "sandbox.refresh", "lost"},
    {"lost", "started", "running"},
    {"lost", "failed", "error"},
    {"lost", "destroyed", "destroyed"},

    {"error", "sandbox.start", "creating"},
    {"error", "sandbox.destroy", "error"},
    {"error", "sandbox.delete", "error"},
    {"error", "destroyed", "destroyed"},

    {"destroyed", "sandbox.start", "creating"},
    {"destroyed", "sandbox.destroy", "destroyed"},
    {"destroyed", "sandbox.delete", "destroyed"},
};

}  // namespace

std::span<const transition> sandbox_transitions() {
  return table;
}

}  // namespace troupe::actors
