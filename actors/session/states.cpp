#include "actors/session/session.h"

namespace troupe::actors {
namespace {

// Events: starting, started (never prompted), restarted, begins, asks, answered, ends, failed.
constexpr transition table[] = {
    {"pending", "session.prompt", "pending"},
    {"pending", "session.cancel", "pending"},
    {"pending", "session.set_mode", "pending"},
    {"pending", "session.set_model", "pending"},
    {"pending", "session.resume", "pending"},
    {"pending", "session.close", "closed"},
    {"pending", "starting", "starting"},

    {"starting", "session.prompt", "starting"},
    {"starting", "session.cancel", "starting"},
    {"starting", "session.set_mode", "starting"},
    {"starting", "session.set_model", "starting"},
    {"starting", "session.resume", "starting"},
    {"starting", "session.close", "closed"},
    {"starting", "started", "ready"},
    {"starting", "restarted", "idle"},
    {"starting", "failed", "error"},

    {"ready", "session.prompt", "ready"},
    {"ready", "session.cancel", "ready"},
    {"ready", "session.set_mode", "ready"},
    {"ready", "session.set_model", "ready"},
    {"ready", "session.resume", "ready"},
    {"ready", "session.close", "closed"},
    {"ready", "starting", "starting"},
    {"ready", "begins", "running"},
    {"ready", "failed", "error"},

    {"running", "session.prompt", "running"},
    {"running", "session.cancel", "running"},
    {"running", "session.set_mode", "running"},
    {"running", "session.set_model", "running"},
    {"running", "session.resume", "running"},
    {"running", "session.close", "closed"},
    {"running", "asks", "needs_input"},
    {"running", "ends", "idle"},
    {"running", "failed", "error"},

    {"needs_input", "session.prompt", "needs_input"},
    {"needs_input", "session.answer_permission", "needs_input"},
    {"needs_input", "session.cancel", "needs_input"},
    {"needs_input", "session.set_mode", "needs_input"},
    {"needs_input", "session.set_model", "needs_input"},
    {"needs_input", "session.resume", "needs_input"},
    {"needs_input", "session.close", "closed"},
    {"needs_input", "asks", "needs_input"},
    {"needs_input", "answered", "running"},
    {"needs_input", "ends", "idle"},
    {"needs_input", "failed", "error"},

    {"idle", "session.prompt", "idle"},
    {"idle", "session.cancel", "idle"},
    {"idle", "session.set_mode", "idle"},
    {"idle", "session.set_model", "idle"},
    {"idle", "session.resume", "idle"},
    {"idle", "session.close", "closed"},
    {"idle", "starting", "starting"},
    {"idle", "begins", "running"},
    {"idle", "failed", "error"},

    {"error", "session.prompt", "pending"},
    {"error", "session.cancel", "error"},
    {"error", "session.set_mode", "error"},
    {"error", "session.set_model", "error"},
    {"error", "session.resume", "pending"},
    {"error", "session.close", "closed"},

    {"closed", "session.resume", "pending"},
};

}  // namespace

std::span<const transition> session_transitions() {
  return table;
}

}  // namespace troupe::actors
