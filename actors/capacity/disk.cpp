#include "actors/body.h"
#include "actors/capacity/capacity.h"
#include "actors/capacity/handlers.h"

namespace troupe::actors {

bool disk_low(std::int64_t free_bytes, std::int64_t total_bytes, bool was_low) {
  const auto margin = was_low ? capacity_limits::recovery_bytes : 0;
  return free_bytes < capacity_limits::min_free_bytes + margin ||
         free_bytes < total_bytes / 100 * capacity_limits::min_free_percent + margin;
}

namespace capacity_actor {

std::optional<json> disk_of(const view& v) {
  std::optional<json> found;
  v.each("SELECT low, free_bytes, total_bytes FROM disk WHERE id = 1", [&](const storage::row& r) {
    found = json{{"low", r.get<bool>(0)},
                 {"free_bytes", r.get<std::int64_t>(1)},
                 {"total_bytes", r.get<std::int64_t>(2)}};
  });
  return found;
}

answer report_disk(turn& t, const json& body) {
  const auto free_bytes = *integer_of(body, "free_bytes");
  const auto total_bytes = *integer_of(body, "total_bytes");
  const auto before = disk_of(t);
  const bool was_low = before && (*before)["low"].get<bool>();
  const bool low = disk_low(free_bytes, total_bytes, was_low);
  t.run("INSERT OR REPLACE INTO disk (id, free_bytes, total_bytes, low) VALUES (1, ?, ?, ?)", free_bytes,
        total_bytes, low);
  if (low != was_low) {
    const json news{{"low", low}, {"free_bytes", free_bytes}, {"total_bytes", total_bytes}};
    t.each("SELECT organization FROM organizations", [&](const storage::row& r) {
      t.send(key("org/" + r.get<std::string>(0)), "org.apply_disk", news);
    });
  }
  return json{{"low", low}};
}

}  // namespace capacity_actor
}  // namespace troupe::actors
