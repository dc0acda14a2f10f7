#include "actors/body.h"
#include "actors/capacity/capacity.h"
#include "actors/capacity/handlers.h"

namespace troupe::actors::capacity_actor {

answer initialize(turn& t, const json& body) {
  t.run("INSERT OR IGNORE INTO limits (id, max_running) VALUES (1, ?)",
        integer_of(body, "max_running").value_or(capacity_limits::default_max_running));
  return json{{"created", t.changes() == 1}};
}

answer set_limits(turn& t, const json& body) {
  t.run("INSERT OR REPLACE INTO limits (id, max_running) VALUES (1, ?)", *integer_of(body, "max_running"));
  grant(t);
  return done();
}

answer set_share(turn& t, const json& body) {
  const key org(t.from().actor);
  t.run("INSERT OR REPLACE INTO organizations (organization, max_running) VALUES (?, ?)", org.id(),
        integer_of(body, "max_running"));
  // A new organization has not heard yet how the disk stands.
  if (const auto disk = disk_of(t); disk && (*disk)["low"].get<bool>()) t.send(org, "org.apply_disk", *disk);
  grant(t);
  return done();
}

}  // namespace troupe::actors::capacity_actor
