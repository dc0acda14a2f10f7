#include "actors/body.h"
#include "actors/capacity/capacity.h"
#include "actors/capacity/handlers.h"

namespace troupe::actors::capacity_actor {

json snapshot(const view& v) {
  auto slots = json::array();
  v.each(
      "SELECT holder, organization, state, since, until FROM slots WHERE state != 'waiting' ORDER BY number "
      "LIMIT ?",
      [&](const storage::row& r) {
        slots.push_back({{"holder", r.get<std::string>(0)},
                         {"org", r.get<std::string>(1)},
                         {"state", r.get<std::string>(2)},
                         {"since", r.get<std::int64_t>(3)},
                         {"until", r.get<std::int64_t>(4)}});
      },
      capacity_limits::snapshot_slots);
  auto queue = json::array();
  v.each(
      "SELECT holder, organization, since FROM slots WHERE state = 'waiting' ORDER BY number LIMIT ?",
      [&](const storage::row& r) {
        queue.push_back({{"holder", r.get<std::string>(0)},
                         {"org", r.get<std::string>(1)},
                         {"position", queue.size() + 1},
                         {"since", r.get<std::int64_t>(2)}});
      },
      capacity_limits::snapshot_slots);
  auto organizations = json::array();
  v.each(
      "SELECT organization, max_running,"
      " (SELECT count(*) FROM slots s WHERE s.organization = o.organization AND s.state != 'waiting'),"
      " (SELECT count(*) FROM slots s WHERE s.organization = o.organization AND s.state = 'waiting')"
      " FROM organizations o ORDER BY organization LIMIT ?",
      [&](const storage::row& r) {
        organizations.push_back({{"org", r.get<std::string>(0)},
                                 {"share", or_null(r.get<std::optional<std::int64_t>>(1))},
                                 {"running", r.get<std::int64_t>(2)},
                                 {"waiting", r.get<std::int64_t>(3)}});
      },
      capacity_limits::snapshot_organizations);
  const auto count = [&](std::string_view sql) { return v.one<std::int64_t>(sql).value_or(0); };
  const auto audit = v.stream("audit");
  const auto disk = disk_of(v);
  return {{"max_running", v.one<std::int64_t>("SELECT max_running FROM limits WHERE id = 1")
                              .value_or(capacity_limits::default_max_running)},
          {"running", count("SELECT count(*) FROM slots WHERE state IN ('granted', 'asked')")},
          {"waiting", count("SELECT count(*) FROM slots WHERE state = 'waiting'")},
          {"slots", std::move(slots)},
          {"queue", std::move(queue)},
          {"organizations", std::move(organizations)},
          {"disk", disk ? *disk : json(nullptr)},
          {"streams", {{"audit", {{"first", audit.first}, {"last", audit.last}}}}}};
}

}  // namespace troupe::actors::capacity_actor
