// task.update_from_base: the mirror is refreshed, then what is new there is merged in the sandbox. Conflicts
// stay in the workspace, shown as data, until somebody resolves them (a person, or the agent when asked to)
// or gives the merge up.
#include "actors/json_read.h"
#include "actors/task/advance.h"
#include "actors/task/handlers.h"
#include "actors/text.h"

namespace troupe::actors::tasks {
namespace {

constexpr std::size_t listed_for_agent = 50;

std::string plea(const record& r, const json& merge) {
  std::string text = "The branch " + text_field(merge, "branch") + " was merged into " + r.branch +
                     ", and these files have conflicts:\n";
  std::size_t n = 0;
  for (const auto& f : field(merge, "files")) {
    if (n++ == listed_for_agent) break;
    text += "- " + text_field(f, "path") + " (" + text_field(f, "how") + ")\n";
  }
  const auto count = static_cast<std::size_t>(number_field(merge, "count"));
  if (count > listed_for_agent)
    text += "and " + std::to_string(count - listed_for_agent) + " more (git status)\n";
  return text +
         "\nThe merge is under way in the workspace. Resolve every conflict so that what both sides meant is "
         "kept, "
         "check that the result builds and its tests pass, then git add the files and conclude the merge "
         "with "
         "git commit --no-edit.";
}

void end_update(turn& t, record& r, const outcome& o) {
  end_operation(t, o);
  if (o.ok()) {
    r.head = text_field(o.result(), "head");
    if (const auto base = text_field(o.result(), "base"); !base.empty()) r.base = base;
  }
  refresh_work(t, r);
}

}  // namespace

answer update_from_base(turn& t, const json& body) {
  auto r = load(t);
  if (auto why = refuse(r, "task.update_from_base")) return *why;
  if (!can_look(r)) return not_running(r);
  if (!r.merge.is_null())
    return conflict("merge_under_way",
                    "a merge waits in the workspace: resolve and commit it, or task.abort_update");
  if (is_running(t, "update")) return conflict("update_running", "the branch is being updated already");
  const auto id = begin_operation(t, "update");
  t.start({.kind = "git.mirror",
           .body = remote_of(t, r),
           .then = "task.apply_base",
           .context = {{"operation", id},
                       {"branch", body.value("branch", r.base_branch)},
                       {"resolve", body.value("resolve", false)}},
           .resource = "git"});
  return json{{"operation", id}};
}

answer apply_base(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  if (!o.ok()) {
    end_operation(t, o);
  } else if (!can_look(r)) {
    end_operation(t, {o.effect, not_running(r), o.context});
  } else {
    t.start({.kind = "git.update",
             .body = {{"handle", r.handle},
                      {"branch", r.branch},
                      {"from", o.context.at("branch")},
                      {"base_branch", r.base_branch},
                      {"author", author(r)}},
             .then = "task.apply_update",
             .context = o.context,
             .resource = "git"});
  }
  advance(t, r);
  return done();
}

answer apply_update(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  end_update(t, r, o);
  if (o.ok() && text_field(o.result(), "state") == "conflicts") {
    r.merge = {{"branch", o.context.at("branch")},
               {"commit", text_field(o.result(), "commit")},
               {"files", field(o.result(), "files")},
               {"count", number_field(o.result(), "count")}};
    if (o.context.value("resolve", false)) say(t, r, plea(r, r.merge));
  }
  advance(t, r);
  return done();
}

answer abort_update(turn& t, const json&) {
  auto r = load(t);
  if (auto why = refuse(r, "task.abort_update")) return *why;
  if (!can_look(r)) return not_running(r);
  const auto id = begin_operation(t, "abort_update");
  t.start({.kind = "git.abort_update",
           .body = {{"handle", r.handle}, {"base_branch", r.base_branch}},
           .then = "task.apply_update_aborted",
           .context = {{"operation", id}},
           .resource = "git"});
  return json{{"operation", id}};
}

answer apply_update_aborted(turn& t, const json& body) {
  const auto o = outcome::of(body);
  auto r = load(t);
  end_update(t, r, o);
  if (o.ok()) r.merge = nullptr;
  advance(t, r);
  return done();
}

}  // namespace troupe::actors::tasks
