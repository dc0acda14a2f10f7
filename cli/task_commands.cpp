#include <memory>

#include <fmt/format.h>

#include "cli/budgets.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/diff_view.h"
#include "cli/named_values.h"
#include "cli/subcommand.h"
#include "cli/task_git.h"
#include "cli/task_view.h"
#include "cli/watch_task.h"

namespace troupe::cli {

namespace {

struct options {
  std::string name, text, repo, title, branch, base, agent, model, mode, provider, owner, status, session,
      file, step = "setup";
  bool existing = false, watch = false, yes = false, discard = false, force = false, until_idle = false,
       assign = false, no_prompt = false;
  std::vector<std::string> require;
  int limit = 50;
};

std::string the_repository(context& c, const std::string& named) {
  if (!named.empty()) return named;
  const auto all = c.server().snapshot(c.org_key()).at("repositories");
  if (all.empty()) throw failure("the organization has no repository yet", "add one: troupe repo add URL");
  std::vector<std::string> usable, names;
  for (const auto& one : all) {
    names.push_back(plain(one.value("repository", "")));
    if (all.size() == 1 || one.value("state", "") == "ready") usable.push_back(names.back());
  }
  if (usable.size() == 1) return usable.front();
  throw misused(fmt::format("the organization has several repositories: {}", fmt::join(names, ", ")),
                "say which with --repo");
}

void make(context& c, const options& o) {
  const auto description = text_or_stdin(o.text, "the description");
  json body{{"repository", the_repository(c, o.repo)}, {"description", description}};
  const auto put = [&](const char* name, const std::string& value) {
    if (!value.empty()) body[name] = value;
  };
  put("title", o.title);
  put("branch", o.branch);
  put("base_branch", o.base);
  put("agent", o.agent);
  put("model", o.model);
  put("mode", o.mode);
  put("provider", o.provider);
  put("owner", o.owner);
  if (!o.require.empty()) body["requirements"] = requirements(o.require, json::object());
  if (o.existing) body["existing_branch"] = true;
  if (o.no_prompt) body["prompt"] = "";
  const auto made = c.server().command(c.org_key(), "org.create_task", body);
  const auto key = fmt::format("{}/task/{}", c.org_key(), made.at("task").get<std::string>());
  if (!c.print_json(made)) {
    c.out.line(fmt::format("{}  {}", c.out.paint(style::bold, plain(made.value("title", ""))),
                           c.out.paint(style::cyan, plain(made.value("branch", "")))));
    c.out.line(c.out.paint(style::dim, "  " + key));
  }
  if (!o.watch) {
    if (!c.as_json) c.out.line(fmt::format("next: troupe task watch {}", plain(made.value("branch", ""))));
    return;
  }
  const auto last = watch_task(
      c, key,
      {.how = o.yes ? follower::permissions::allow : follower::permissions::ask, .until_idle = !o.no_prompt});
  if (c.as_json) return;
  const auto words = diff_numbers(c.out, last.value("diff", json::object()));
  c.out.line(fmt::format("\n  {}", words.empty() ? "nothing was changed" : words));
  if (!words.empty()) c.out.line(fmt::format("next: troupe task diff {}", plain(made.value("branch", ""))));
}

void list(context& c, const options& o) {
  json body{{"limit", o.limit}};
  if (!o.repo.empty()) body["repository"] = o.repo;
  if (!o.status.empty()) body["status"] = o.status;
  if (!o.text.empty()) body["text"] = o.text;
  if (!o.owner.empty()) body["owner"] = o.owner;
  const auto found = c.server().query(c.org_key(), "org.list_tasks", body);
  if (c.print_json(found)) return;
  if (found.at("tasks").empty()) {
    return c.out.line(body.size() > 1 ? "no such task" : "no task yet: troupe task new 'what is to be done'");
  }
  table t({"TASK", "STATUS", "CHANGED", "CHANGES", "BRANCH", "TITLE"}, {2, 3, 0});
  for (const auto& one : found.at("tasks")) {
    auto status = task_status(c.out, one.value("status", ""));
    if (one.at("position").is_number()) status += fmt::format(" {}", one["position"].dump());
    t.row({short_id(one.value("task", "")), status, ago(one.value("updated_at", std::int64_t{0}), now_ms()),
           diff_numbers(c.out, one.value("diff", json::object())), plain(one.value("branch", "")),
           plain(one.value("title", ""))});
  }
  c.out.write(t.text(c.out));
  if (!found.at("next").is_null())
    c.out.line(c.out.paint(style::dim, "there are more: --limit N, --text WORDS"));
}

void show(context& c, const std::string& key) {
  const auto s = c.server().snapshot(key);
  if (c.print_json(s)) return;
  const auto text = [&](const char* name) {
    return s.contains(name) && s[name].is_string() ? plain(s[name].get<std::string>()) : std::string();
  };
  c.out.line(
      fmt::format("{}  {}", c.out.paint(style::bold, text("title")), task_status(c.out, text("status"))));
  c.out.line(c.out.paint(style::dim, "  " + key));
  c.out.line(fmt::format("  branch {}, owner {}, sandbox {}", c.out.paint(style::cyan, text("branch")),
                         text("owner"), plain(s.value("sandbox", json::object()).value("state", "-"))));
  if (const auto numbers = diff_numbers(c.out, s.value("diff", s)); !numbers.empty())
    c.out.line("  " + numbers);
  if (text("description") != text("title"))
    c.out.write(wrapped(text("description"), c.out.width(), "  ", "  "));
  show_git(c.out, s);
  show_usage(c.out, s);
  provisioning_view steps(c.out);
  c.out.line();
  steps.show(s);
  table t({"SESSION", "STATUS", "AGENT", "TITLE"});
  for (const auto& one : s.value("sessions", json::array())) {
    t.row({one.value("session", ""), plain(one.value("status", "")), plain(one.value("agent", "")),
           plain(one.value("title", ""))});
  }
  if (!t.empty()) c.out.write("\n" + t.text(c.out));
}

void diff(context& c, const options& o) {
  const auto key = c.task_key(o.name);
  json body = json::object();
  if (!o.file.empty()) body["path"] = o.file;
  const auto found = c.server().query(key, "task.diff", body);
  if (c.print_json(found)) return;
  const auto text = diff_text(found);
  if (text.empty()) return c.out.line("no change");
  c.out.write(coloured_diff(c.out, text));
}

}  // namespace

void add_task(CLI::App& app, context& c) {
  auto* task = group(
      app, "task", "things to be done: one branch, one sandbox, one or more sessions",
      "  troupe task new 'Fix the login page' --watch\n  troupe task list --status needs_input\n"
      "  troupe task diff fix-the-login-page\n  troupe task send fix-the-login-page 'and add a test'\n\n"
      "TASK is an id or its beginning or end, a branch with or without its prefix, a title, or a key.\n");
  auto o = std::make_shared<options>();

  auto* made = action(*task, "new", "create a task; its agent begins at once",
                      "  troupe task new 'Fix the login page. It fails for names with dots.' --watch\n"
                      "  troupe task new - --repo widgets --agent claude < task.md\n",
                      [&c, o] { make(c, *o); });
  made->add_option("DESCRIPTION", o->text,
                   "what is to be done; its first sentence becomes the title; - reads standard input")
      ->required();
  made->add_option("--repo", o->repo, "in which repository (default: the only one)");
  made->add_option("--title", o->title, "instead of the first sentence");
  made->add_option("--branch", o->branch, "instead of one made from the title");
  made->add_flag("--existing-branch", o->existing, "continue on a branch that is there");
  made->add_option("--base", o->base, "the branch that it begins at");
  made->add_option("--agent", o->agent, "who does it (default: the organization's)");
  made->add_option("--model", o->model, "a model that the agent offers");
  made->add_option("--mode", o->mode, "a mode that the agent offers");
  made->add_option("--provider", o->provider,
                   "who makes the sandbox: local, or unsafe where serve was told --unsafe-no-isolation "
                   "(default: the organization's)");
  made->add_option("--owner", o->owner, "whose credentials git uses");
  made->add_option("--require", o->require, requirements_help);
  made->add_flag("--no-prompt", o->no_prompt, "make it ready, but do not prompt the agent yet");
  made->add_flag("--watch,-w", o->watch, "follow until the agent has ended its turn");
  made->add_flag("--yes", o->yes, "with --watch: allow what the agent asks for");

  auto* listed = action(*task, "list", "tasks, the last changed first",
                        "  troupe task list --repo widgets --text login\n", [&c, o] { list(c, *o); });
  listed->add_option("--repo", o->repo, "only of this repository");
  listed->add_option("--status", o->status, "only those that are")
      ->check(CLI::IsMember({"queued", "provisioning", "running", "needs_input", "idle", "error", "archiving",
                             "archived", "killed", "deleting"}));
  listed->add_option("--text", o->text, "only those with these words in title or branch");
  listed->add_option("--owner", o->owner, "only of this user");
  listed->add_option("--limit", o->limit, "how many")->capture_default_str();

  const auto named = [&](const char* name, const char* what, const std::string& example,
                         std::function<void()> run) {
    auto* sub = action(*task, name, what, example, std::move(run));
    sub->add_option("TASK", o->name, "its id, branch, title or key")->required();
    return sub;
  };
  named("show", "one task: status, steps, sessions, changes", "  troupe task show fix-login\n",
        [&c, o] { show(c, c.task_key(o->name)); });
  auto* watched =
      named("watch", "follow a task; permission requests are answered at the keyboard",
            "  troupe task watch fix-login --until-idle\n", [&c, o] {
              watch_task(c, c.task_key(o->name),
                         {.how = o->yes ? follower::permissions::allow : follower::permissions::ask,
                          .until_idle = o->until_idle});
            });
  watched->add_flag("--until-idle", o->until_idle, "end when the agent has ended its turn");
  watched->add_flag("--yes", o->yes, "allow what the agent asks for");
  named("diff", "what the task changed against its base", "  troupe task diff fix-login src/login.cpp\n",
        [&c, o] { diff(c, *o); })
      ->add_option("FILE", o->file, "only this file");
  named("log", "what a step of making the task ready printed", "  troupe task log fix-login\n",
        [&c, o] {
          const auto found = c.server().query(c.task_key(o->name), "task.step_log", {{"step", o->step}});
          if (c.print_json(found)) return;
          const auto text = plain(found.value("log", ""), true);
          if (text.empty()) return c.out.line(fmt::format("the step {} printed nothing", o->step));
          c.out.write(text.ends_with('\n') ? text : text + "\n");
        })
      ->add_option("STEP", o->step, "which")
      ->capture_default_str();
  auto* sent = named("send", "say something to the agent; wakes the sandbox first if it sleeps",
                     "  troupe task send fix-login 'and add a test'\n", [&c, o] {
                       json body{{"text", text_or_stdin(o->text, "the message")}};
                       if (!o->session.empty()) body["session"] = o->session;
                       const auto done = c.server().command(c.task_key(o->name), "task.send_message", body);
                       if (!c.print_json(done)) c.out.line("sent; troupe task watch follows it");
                     });
  sent->add_option("TEXT", o->text, "what; - reads standard input")->required();
  sent->add_option("--session", o->session, "to which session (default: the one used last)");
  named("rename", "change the title; the branch stays", "  troupe task rename fix-login 'Fix sign-in'\n",
        [&c, o] {
          const auto done = c.server().command(c.task_key(o->name), "task.rename", {{"title", o->title}});
          if (!c.print_json(done)) c.out.line("renamed");
        })
      ->add_option("TITLE", o->title, "the new one")
      ->required();
  auto* owned =
      named("set-owner", "take a task, or hand one's own to somebody",
            "  troupe task set-owner fix-login ada\n", [&c, o] {
              const auto done = c.server().command(
                  c.task_key(o->name), o->assign ? "task.assign" : "task.set_owner", {{"owner", o->owner}});
              if (!c.print_json(done)) c.out.line("set");
            });
  owned->add_option("USER", o->owner, "login name")->required();
  owned->add_flag("--assign", o->assign, "somebody else's, as an administrator of the organization");
  const auto simple = [&](const char* name, const char* what, const char* command, const char* said,
                          bool may_discard) {
    auto* sub = named(name, what, fmt::format("  troupe task {} fix-login\n", name), [&c, o, command, said] {
      json body = json::object();
      if (o->discard) body["discard"] = true;
      const auto done = c.server().command(c.task_key(o->name), command, body);
      if (!c.print_json(done)) c.out.line(said);
    });
    if (may_discard) sub->add_flag("--discard", o->discard, "although work is not pushed");
  };
  simple("retry", "try again after an error", "task.retry", "trying again", false);
  simple("archive", "release the sandbox, keep the branch and the work", "task.archive", "archiving", false);
  simple("unarchive", "take an archived one up again", "task.unarchive", "coming back", false);
  simple("kill", "stop at once and destroy the sandbox", "task.kill", "killed", true);
  named("delete", "remove the task with everything of it", "  troupe task delete fix-login --discard\n",
        [&c, o] {
          const auto key = c.task_key(o->name);
          json body{{"task", last_id(key)}};
          if (o->discard) body["discard"] = true;
          const auto done = c.server().command(key.substr(0, key.find("/task/")), "org.delete_task", body);
          if (!c.print_json(done)) c.out.line("deleting");
        })
      ->add_flag("--discard", o->discard, "although work is not pushed");
  add_task_git(*task, c);
  add_task_budget(*task, c);
}

}  // namespace troupe::cli
