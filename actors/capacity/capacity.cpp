#include "actors/capacity/capacity.h"

#include "actors/capacity/handlers.h"
#include "actors/roles.h"
#include "schemas/capacity.h"

namespace troupe::actors {

using namespace capacity_actor;

const kind& capacity() {
  using enum lane;
  static const auto task = from::kind("task", 0);
  static const kind k{
      .name = "capacity",
      .singleton = true,
      .schema = schemas::capacity,
      .commands =
          {
              {"capacity.initialize", from::host(), interactive, initialize, "", true},
              {"capacity.set_limits", from::client(role::admin) | from::host(), interactive, set_limits,
               "capacity.limits_changed"},
              {"capacity.set_share", from::kind("org", 0), background, set_share},
              {"capacity.request", task, background, request},
              {"capacity.release", task, background, release},
              {"capacity.renew", task, background, renew},
              {"capacity.expire", from::self(), background, expire},
              {"capacity.apply_answer", from::reply(), background, apply_answer},
              {"capacity.report_disk", from::host(), background, report_disk},
          },
      .snapshot = snapshot,
      .snapshot_role = role::admin,
      .streams = {{"audit", role::admin, 10'000}},
  };
  return k;
}

std::span<const transition> slot_transitions() {
  static constexpr transition table[] = {
      {"none", "capacity.request", "waiting"},
      {"none", "capacity.renew", "waiting"},
      {"waiting", "capacity.renew", "waiting"},
      {"waiting", "grant", "granted"},
      {"waiting", "capacity.release", "none"},
      {"granted", "capacity.renew", "granted"},
      {"granted", "capacity.release", "none"},
      {"granted", "capacity.expire", "asked"},
      {"asked", "capacity.renew", "granted"},
      {"asked", "capacity.release", "none"},
      {"asked", "capacity.apply_answer: ok", "granted"},
      {"asked", "capacity.apply_answer: error", "none"},
      {"asked", "capacity.expire", "none"},
  };
  return table;
}

}  // namespace troupe::actors
