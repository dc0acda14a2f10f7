#include "actors/sandbox/handlers.h"
#include "actors/sandbox/record.h"

namespace troupe::actors::sandboxes {
namespace {

constexpr std::int64_t shown_processes = 100;

json process_row(const auto& row) {
  auto p = json::parse(row.template get<std::string>(2));
  p["id"] = row.template get<std::string>(0);
  if (const auto daemon = row.template get<std::optional<std::string>>(1)) p["daemon_id"] = *daemon;
  p["status"] = row.template get<std::string>(3);
  p["created_at"] = row.template get<std::int64_t>(4);
  if (const auto by = row.template get<std::string>(5); !by.empty()) p["started_by"] = by;
  return p;
}

}  // namespace

answer list_processes(const view& v, const json& body) {
  json rows = json::array();
  v.each(
      "SELECT id, daemon_id, info, status, created_at, started_by FROM process WHERE ?1 = '' OR status = ?1 "
      "ORDER BY created_at DESC, id DESC LIMIT 1000",
      [&](const auto& row) { rows.push_back(process_row(row)); }, body.value("status", ""));
  return json{{"processes", std::move(rows)}};
}

json snapshot(const view& v) {
  const auto r = load(v);
  json processes = json::array();
  v.each(
      "SELECT id, daemon_id, info, status, created_at, started_by FROM process ORDER BY created_at DESC, id "
      "DESC LIMIT ?",
      [&](const auto& row) { processes.push_back(process_row(row)); }, shown_processes);
  json s{{"state", r.state},
         {"holder", r.holder},
         {"provider", r.spec.value("provider", "local")},
         {"requirements", r.spec.value("requirements", json::object())},
         {"items", r.items},
         {"steps", r.steps},
         {"use", {{"memory_mb", r.memory_mb}, {"pids", r.pids}}},
         {"generation", r.generation},
         {"processes", std::move(processes)},
         {"created_at", r.created_at},
         {"updated_at", r.updated_at}};
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) s[name] = value;
  };
  put("doing", r.doing);
  put("handle", r.handle);
  put("tier", r.tier);
  put("workspace", r.workspace);
  put("error", r.error);
  const auto log = v.stream("log");
  s["log"] = {{"first", log.first}, {"last", log.last}};
  return s;
}

}  // namespace troupe::actors::sandboxes
