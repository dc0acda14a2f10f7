#include "cli/task_git.h"

#include <memory>

#include <fmt/format.h>

#include "cli/context.h"
#include "cli/subcommand.h"
#include "cli/task_view.h"
#include "cli/watch_task.h"

namespace troupe::cli {

namespace {

struct options {
  std::string name, message, branch;
  bool resolve = false, abort = false;
};

std::string text_of(const json& object, const char* name) {
  const auto at = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && at != object.end() && at->is_string() ? plain(at->get<std::string>())
                                                                     : std::string();
}

/// Asks and waits; what came of it.
json operate(context& c, const std::string& key, const std::string& command, const json& body) {
  const auto asked = c.server().command(key, command, body);
  return await_operation(c, key, asked.at("operation"));
}

std::string committed(const json& operation) {
  const auto commit = text_of(operation.value("result", json::object()), "commit");
  return commit.empty() ? "there was nothing to commit" : fmt::format("committed {}", commit);
}

void commit(context& c, const options& o) {
  const auto done = operate(c, c.task_key(o.name), "task.commit", {{"message", o.message}});
  if (!c.print_json(done)) c.out.line(committed(done));
}

void push(context& c, const options& o) {
  const auto key = c.task_key(o.name);
  if (!o.message.empty()) {
    const auto done = operate(c, key, "task.commit", {{"message", o.message}});
    if (!c.as_json) c.out.line(committed(done));
  }
  const auto done = operate(c, key, "task.push", json::object());
  if (c.print_json(done)) return;
  const auto result = done.value("result", json::object());
  const auto branch = text_of(result, "branch"), commit = text_of(result, "commit").substr(0, 12);
  const bool moved = result.value("moved", false);
  c.out.line(fmt::format("{} {} at {}", moved ? "pushed" : "the remote has", c.out.paint(style::cyan, branch),
                         commit));
  const auto words = result.is_object() ? plain(result.value("words", ""), true) : std::string();
  if (!words.empty()) c.out.write(wrapped(c.out.paint(style::dim, words), c.out.width(), "  ", "  "));
  if (const auto link = text_of(result, "link"); !link.empty())
    c.out.line(fmt::format("pull request: {}", link));
  if (result.value("dirty", false))
    c.out.line(c.out.paint(
        style::yellow, "some changes are not committed, and were not pushed: troupe task push -m MESSAGE"));
}

void show_conflicts(terminal& to, const json& merge) {
  for (const auto& f : merge.value("files", json::array())) {
    auto how = text_of(f, "how");
    std::ranges::replace(how, '_', ' ');
    to.line(fmt::format("    {}  {}", to.paint(style::red, padded(how, 13)), text_of(f, "path")));
  }
  const auto more = merge.value("count", std::size_t{0}) - merge.value("files", json::array()).size();
  if (more > 0) to.line(to.paint(style::dim, fmt::format("    and {} more", more)));
}

void update(context& c, const options& o) {
  const auto key = c.task_key(o.name);
  if (o.abort) {
    const auto done = operate(c, key, "task.abort_update", json::object());
    if (!c.print_json(done)) c.out.line("given up; the branch is as it was");
    return;
  }
  json body = json::object();
  if (!o.branch.empty()) body["branch"] = o.branch;
  if (o.resolve) body["resolve"] = true;
  const auto done = operate(c, key, "task.update_from_base", body);
  if (c.print_json(done)) return;
  const auto result = done.value("result", json::object());
  const auto state = text_of(result, "state"), commit = text_of(result, "commit").substr(0, 12);
  if (state == "current") return c.out.line(fmt::format("up to date with {}", commit));
  if (state == "merged") return c.out.line(fmt::format("merged {}", commit));
  c.out.line(fmt::format("merging {} left conflicts:", commit));
  show_conflicts(c.out, result);
  c.out.line(o.resolve ? "the agent was asked to resolve them: troupe task watch follows it"
                       : "resolve and commit them, or --abort; --resolve asks the agent");
}

void refresh(context& c, const options& o) {
  const auto key = c.task_key(o.name);
  const auto done = operate(c, key, "task.refresh_diff", json::object());
  if (c.print_json(done)) return;
  const auto words = diff_numbers(c.out, c.server().snapshot(key).value("diff", json::object()));
  c.out.line(words.empty() ? "no change" : words);
}

}  // namespace

void show_git(terminal& to, const json& snapshot) {
  if (const auto pushed = snapshot.find("pushed"); pushed != snapshot.end()) {
    const bool all = !snapshot.value("diff", json::object()).value("unpushed", true);
    to.line(fmt::format("  pushed {} {}, {}{}", text_of(*pushed, "commit").substr(0, 12),
                        ago(pushed->value("at", std::int64_t{0}), now_ms()),
                        all ? "and nothing since" : "and more since",
                        pushed->contains("link") ? "  " + text_of(*pushed, "link") : ""));
  }
  if (const auto merge = snapshot.find("merge"); merge != snapshot.end()) {
    const auto count = merge->value("count", std::size_t{0});
    to.line("  " + to.paint(style::yellow,
                            count == 0
                                ? "a merge is resolved and waits to be committed: troupe task commit"
                                : fmt::format("a merge of {} waits with {} conflict{}",
                                              text_of(*merge, "branch"), count, count == 1 ? "" : "s")));
    show_conflicts(to, *merge);
  }
}

void add_task_git(CLI::App& task, context& c) {
  auto o = std::make_shared<options>();
  const auto named = [&](const char* name, const char* what, const std::string& example,
                         void (*run)(context&, const options&)) {
    auto* sub = action(task, name, what, example, [&c, o, run] { run(c, *o); });
    sub->add_option("TASK", o->name, "its id, branch, title or key")->required();
    return sub;
  };
  named("commit", "commit what was changed on the task's branch",
        "  troupe task commit fix-login -m 'Fix the login page'\n", commit)
      ->add_option("-m,--message", o->message, "the commit's message")
      ->required();
  named("push", "push the task's branch, with the credential of its owner",
        "  troupe task push fix-login\n  troupe task push fix-login -m 'Fix the login page'\n\n"
        "The owner's own credential is stored with `troupe secret set --git HOST`; without one the "
        "repository's is used.\n",
        push)
      ->add_option("-m,--message", o->message, "commit what was changed first, with this message");
  auto* updated = named("update", "merge what is new on the base branch into the task's",
                        "  troupe task update fix-login\n  troupe task update fix-login --resolve\n"
                        "  troupe task update fix-login --abort\n",
                        update);
  updated->add_option("--from", o->branch, "another branch than the base");
  updated->add_flag("--resolve", o->resolve, "ask the agent to resolve conflicts");
  updated->add_flag("--abort", o->abort, "give up a merge that waits with conflicts");
  named("refresh-diff", "look again at what was changed", "  troupe task refresh-diff fix-login\n", refresh);
}

}  // namespace troupe::cli
