// What the agents made: the diff against the base, kept file by file, and a bundle of the work that outlives
// the sandbox. Both are renewed after each turn of an agent, one at a time.
#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/task/handlers.h"
#include "actors/text.h"

namespace troupe::actors::tasks {
namespace {

constexpr std::size_t max_files = 5000;  // rows of changed files kept; the counts are of all

void start_work(turn& t, record& r, std::string_view effect, std::string_view then, const char* why) {
  r.work_effect = t.start({.kind = effect,
                           .body = {{"handle", r.handle}, {"base", r.base}},
                           .then = then,
                           .context = {{"why", why}},
                           .resource = "git"});
}

void keep_files(turn& t, record& r, const json& result) {
  t.run("DELETE FROM changed_file");
  const auto& patches = field(result, "diff");
  const auto& files = field(result, "files");
  std::size_t kept = 0;
  for (const auto& f : files) {
    const auto path = text_field(f, "path");
    if (path.empty() || kept++ >= max_files) continue;
    t.run(
        "INSERT OR REPLACE INTO changed_file (path, old_path, status, additions, deletions, is_binary, cut, "
        "patch) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        path, text_field(f, "old_path"), text_field(f, "status"), number_field(f, "additions"),
        number_field(f, "deletions"), field(f, "binary") == true, field(f, "cut") == true,
        text_field(patches, path.c_str()));
  }
  r.files = static_cast<std::int64_t>(files.is_array() ? files.size() : 0);
  r.additions = number_field(result, "additions");
  r.deletions = number_field(result, "deletions");
  r.dirty = field(result, "dirty") == true;
  r.head = text_field(result, "head");
  r.diff_at = t.now_ms();
  const auto& merge = field(result, "merge");
  if (merge.is_null()) {
    r.merge = nullptr;
  } else {
    const auto branch = text_field(r.merge, "branch");
    r.merge = {{"branch", branch},
               {"commit", text_field(merge, "commit")},
               {"files", field(merge, "files")},
               {"count", number_field(merge, "count")}};
  }
}

void archived(turn& t, record& r) {
  release_sandbox(t, r);
  set_status(t, r, "archived");
}

}  // namespace

bool can_look(const record& r) {
  return r.sandbox_state == "running" && !r.handle.empty() && r.prepared == r.creation && !r.base.empty();
}

problem not_running(const record& r) {
  return conflict("sandbox_not_running",
                  "the sandbox is " + r.sandbox_state +
                      ", so its files cannot be looked at; a message to a session wakes it");
}

json author(const record& r) {
  return {{"name", r.owner}, {"email", r.owner + "@localhost"}};
}

void refresh_work(turn& t, record& r) {
  if (!can_look(r)) return;
  if (!r.work_effect.empty()) {
    r.work_again = true;
    return;
  }
  start_work(t, r, "git.diff", "task.apply_diff", "refresh");
}

void save_work_for_archive(turn& t, record& r) {
  if (!r.work_effect.empty()) t.cancel(r.work_effect);
  r.work_again = false;
  start_work(t, r, "git.save_work", "task.apply_saved", "archive");
}

answer apply_diff(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (o.effect != r.work_effect) return done();
  r.work_effect.clear();
  if (o.ok()) {
    keep_files(t, r, o.result());
    r.work_error.clear();
    end_operations(t, "refresh_diff", "done",
                   {{"files", r.files}, {"additions", r.additions}, {"deletions", r.deletions}});
    if (r.has_work() && can_look(r)) start_work(t, r, "git.save_work", "task.apply_saved", "refresh");
  } else {
    r.work_error = "the diff could not be made: " + o.error().detail;
    end_operations(t, "refresh_diff", "failed", nullptr, o.error());
  }
  if (r.work_effect.empty() && std::exchange(r.work_again, false)) refresh_work(t, r);
  advance(t, r);
  return done();
}

answer apply_saved(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (o.effect != r.work_effect) return done();
  r.work_effect.clear();
  const bool archiving = r.status == "archiving";
  if (o.ok()) {
    r.bundle = text_field(o.result(), "bundle");
    r.bundle_commit = text_field(o.result(), "commit");
    r.bundle_bytes = number_field(o.result(), "bytes");
    r.bundle_at = t.now_ms();
    r.work_error.clear();
    if (archiving) archived(t, r);
  } else {
    r.work_error = "the work could not be saved: " + o.error().detail;
    if (archiving) {
      r.error =
          r.work_error + ". The sandbox was kept; task.archive with discard: true archives without saving";
      set_status(t, r, "error");
    }
  }
  if (r.work_effect.empty() && std::exchange(r.work_again, false)) refresh_work(t, r);
  advance(t, r);
  return done();
}

answer refresh_diff(turn& t, const json&) {
  auto r = load(t);
  if (auto why = refuse(r, "task.refresh_diff")) return *why;
  if (!can_look(r)) return not_running(r);
  const auto id = begin_operation(t, "refresh_diff");
  refresh_work(t, r);
  advance(t, r);
  return json{{"operation", id}};
}

answer commit(turn& t, const json& body) {
  auto r = load(t);
  if (auto why = refuse(r, "task.commit")) return *why;
  if (!can_look(r)) return not_running(r);
  const auto id = begin_operation(t, "commit");
  t.start({.kind = "git.commit",
           .body = {{"handle", r.handle},
                    {"message", body.at("message")},
                    {"author", body.value("author", author(r))}},
           .then = "task.apply_commit",
           .context = {{"operation", id}},
           .resource = "git"});
  return json{{"operation", id}};
}

answer apply_commit(turn& t, const json& body) {
  const auto o = outcome::of(body);
  end_operation(t, o);
  auto r = load(t);
  if (o.ok()) refresh_work(t, r);
  advance(t, r);
  return done();
}

answer diff(const view& v, const json& body) {
  const auto r = load(v);
  const auto path = body.value("path", "");
  json files = json::array();
  v.each(
      "SELECT path, old_path, status, additions, deletions, is_binary, cut, patch FROM changed_file "
      "WHERE ?1 = '' OR path = ?1 ORDER BY path",
      [&](const auto& row) {
        json f{{"path", row.template get<std::string>(0)},
               {"status", row.template get<std::string>(2)},
               {"additions", row.template get<std::int64_t>(3)},
               {"deletions", row.template get<std::int64_t>(4)},
               {"binary", row.template get<bool>(5)},
               {"cut", row.template get<bool>(6)},
               {"diff", row.template get<std::string>(7)}};
        if (const auto old = row.template get<std::string>(1); !old.empty()) f["old_path"] = old;
        files.push_back(std::move(f));
      },
      path);
  if (!path.empty() && files.empty()) return not_found("the newest diff has no file " + path);
  return json{{"base", r.base},           {"head", r.head},           {"at", r.diff_at},
              {"additions", r.additions}, {"deletions", r.deletions}, {"files", std::move(files)},
              {"dirty", r.dirty}};
}

}  // namespace troupe::actors::tasks
