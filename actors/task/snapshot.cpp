#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/task/handlers.h"

namespace troupe::actors::tasks {
namespace {

json step_rows(const view& v) {
  json rows = json::array();
  v.each("SELECT name, state, started_at, ended_at, detail, length(log) FROM step ORDER BY ordinal",
         [&](const auto& row) {
           json s{{"name", row.template get<std::string>(0)},
                  {"state", row.template get<std::string>(1)},
                  {"started_at", row.template get<std::int64_t>(2)}};
           if (const auto ended = row.template get<std::int64_t>(3); ended > 0) {
             s["ended_at"] = ended;
             s["ms"] = ended - row.template get<std::int64_t>(2);
           }
           if (const auto detail = row.template get<std::string>(4); !detail.empty()) s["detail"] = detail;
           if (row.template get<std::int64_t>(5) > 0) s["has_log"] = true;
           rows.push_back(std::move(s));
         });
  return rows;
}

json file_rows(const view& v) {
  json rows = json::array();
  v.each(
      "SELECT path, old_path, status, additions, deletions, is_binary, cut FROM changed_file ORDER BY path "
      "LIMIT ?",
      [&](const auto& row) {
        json f{{"path", row.template get<std::string>(0)},
               {"status", row.template get<std::string>(2)},
               {"additions", row.template get<std::int64_t>(3)},
               {"deletions", row.template get<std::int64_t>(4)}};
        if (const auto old = row.template get<std::string>(1); !old.empty()) f["old_path"] = old;
        if (row.template get<bool>(5)) f["binary"] = true;
        if (row.template get<bool>(6)) f["cut"] = true;
        rows.push_back(std::move(f));
      },
      static_cast<std::int64_t>(shown_files));
  return rows;
}

json operation_rows(const view& v) {
  json rows = json::array();
  v.each(
      "SELECT id, what, state, result, error, by, started_at, ended_at, code FROM operation ORDER BY "
      "started_at "
      "DESC, id DESC LIMIT 20",
      [&](const auto& row) {
        json o{{"operation", row.template get<std::string>(0)},
               {"what", row.template get<std::string>(1)},
               {"state", row.template get<std::string>(2)},
               {"by", row.template get<std::string>(5)},
               {"started_at", row.template get<std::int64_t>(6)}};
        if (auto result = json::parse(row.template get<std::string>(3)); !result.is_null())
          o["result"] = result;
        if (const auto error = row.template get<std::string>(4); !error.empty()) o["error"] = error;
        if (const auto code = row.template get<std::string>(8); !code.empty()) o["code"] = code;
        if (const auto ended = row.template get<std::int64_t>(7); ended > 0) o["ended_at"] = ended;
        rows.push_back(std::move(o));
      });
  return rows;
}

json session_rows(const view& v) {
  json rows = json::array();
  for (const auto& s : sessions(v)) {
    auto row = s.summary;
    row["session"] = s.id;
    row["status"] = s.status;
    row["slot"] = s.slot;
    if (s.position > 0) row["position"] = s.position;
    row["created_at"] = s.created_at;
    row["used_at"] = s.used_at;
    row.erase("ask");
    row.erase("demand");
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

answer step_log(const view& v, const json& body) {
  const std::string name = body.at("step");
  const auto log = v.one<std::string>("SELECT log FROM step WHERE name = ?", name);
  if (!log) return not_found("the newest provisioning has no step " + name);
  return json{{"step", name}, {"log", *log}};
}

json snapshot(const view& v) {
  const auto r = load(v);
  json s{{"title", r.title},
         {"branch", r.branch},
         {"description", r.description},
         {"repository", r.repository.value("name", "")},
         {"base_branch", r.base_branch.empty() ? text_field(r.repository, "base_branch") : r.base_branch},
         {"status", r.status},
         {"owner", r.owner},
         {"agent", r.agent},
         {"created_by", r.created_by},
         {"created_at", r.created_at},
         {"updated_at", r.updated_at},
         {"steps", step_rows(v)},
         {"sessions", session_rows(v)},
         {"diff",
          {{"files", r.files}, {"additions", r.additions}, {"deletions", r.deletions}, {"dirty", r.dirty}}},
         {"files", file_rows(v)},
         {"operations", operation_rows(v)}};
  s["sandbox"] = {{"state", r.sandbox_state}, {"provider", r.provider}, {"items", r.items}};
  if (!r.sandbox.empty()) {
    s["sandbox"]["id"] = r.sandbox;
    s["sandbox"]["key"] = sandbox_key(v, r.sandbox).str();
  }
  const auto put = [](json& into, const char* name, const std::string& value) {
    if (!value.empty()) into[name] = value;
  };
  put(s["sandbox"], "tier", r.tier);
  put(s["diff"], "base", r.base);
  put(s["diff"], "head", r.head);
  put(s["diff"], "error", r.work_error);
  if (r.diff_at > 0) s["diff"]["at"] = r.diff_at;
  if (!r.work_effect.empty()) s["diff"]["refreshing"] = true;
  if (!r.bundle.empty())
    s["saved_work"] = {{"commit", r.bundle_commit}, {"bytes", r.bundle_bytes}, {"at", r.bundle_at}};
  s["usage"] = usage_of(v);
  if (!r.budget.is_null()) s["budget"] = r.budget;
  const auto held = why_held(v, r);
  put(s, "held", held);
  if (!r.mcp_servers.empty()) {
    s["mcp_servers"] = json::array();
    for (const auto& one : r.mcp_servers) s["mcp_servers"].push_back(text_field(one, "name"));
  }
  if (!r.pushed.is_null()) s["pushed"] = r.pushed;
  if (!r.merge.is_null()) s["merge"] = r.merge;
  s["diff"]["unpushed"] = r.has_unpushed_work();
  put(s, "error", r.error.empty() ? held : r.error);
  if (held.empty() && r.error.empty() && r.status == "error")
    for (const auto& session : sessions(v))
      if (session.status == "error") put(s, "error", text_field(session.summary, "error"));
  put(s, "step", r.step.empty() && r.status == "provisioning" ? "session" : r.step);
  if (const auto place = position(v); r.status == "queued" && place > 0) s["position"] = place;
  return s;
}

}  // namespace troupe::actors::tasks
