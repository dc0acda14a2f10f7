#include <memory>

#include <fmt/format.h>

#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/follow.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

using clock = std::chrono::steady_clock;
constexpr std::chrono::hours longest_watch{24 * 365};
constexpr std::chrono::hours longest_wait{24};

struct options {
  std::string name, text, agent, model, mode, title, permission, answer, id, guard;
  bool wait = false, yes = false, all = false, clear = false;
  int tail = 0, place = 1;
  std::int64_t prompt_seconds = 0, permission_seconds = 0, max_tokens = -1;
};

std::string status_text(const terminal& out, const std::string& status) {
  if (status == "running" || status == "starting") return out.paint(style::blue, status);
  if (status == "needs_input") return out.paint(style::yellow, status);
  if (status == "error") return out.paint(style::red, status);
  if (status == "closed") return out.paint(style::dim, status);
  return out.paint(style::green, status);
}

/// One thing to choose, what is chosen first.
void show_choice(context& c, const std::string& what, const std::string& now, const json& options,
                 const char* id) {
  std::vector<std::string> others;
  for (const auto& one : options) {
    if (auto name = plain(one.value(id, "")); name != now) others.push_back(std::move(name));
  }
  c.out.line(fmt::format("  {} {}{}", plain(what), plain(now),
                         others.empty() ? "" : fmt::format(", or {}", fmt::join(others, ", "))));
}

/// What the agent lets people choose; an agent without options may have modes all the same.
void show_choices(context& c, const json& session) {
  const auto options = session.value("config_options", json());
  const auto modes = session.value("modes", json());
  for (const auto& one : options) {
    if (one.is_object() && one.contains("options") && one["options"].is_array())
      show_choice(c, one.value("id", ""), one.value("currentValue", ""), one["options"], "value");
  }
  if (options.empty() && modes.is_object() && modes.contains("availableModes"))
    show_choice(c, "mode", modes.value("currentModeId", ""), modes["availableModes"], "id");
}

void show(context& c, const std::string& key) {
  const auto s = c.server().snapshot(key);
  if (c.print_json(s)) return;
  c.out.line(fmt::format("{}  {}", c.out.paint(style::bold, plain(s.value("title", ""))),
                         status_text(c.out, s.value("status", ""))));
  c.out.line(fmt::format("  {}", c.out.paint(style::dim, key)));
  const auto count = [](int n, const char* one, const char* more) {
    return fmt::format("{} {}", n, n == 1 ? one : more);
  };
  c.out.line(fmt::format("  agent {}, {}, {} in the transcript", plain(s.value("agent", "")),
                         count(s.value("turns", 0), "turn", "turns"),
                         count(s.at("transcript").value("last", 0), "entry", "entries")));
  show_choices(c, s);
  const auto& usage = s.at("usage");
  if (usage.value("total_tokens", 0) > 0) {
    c.out.line(fmt::format("  {} tokens, {:.2f} {}", usage.value("total_tokens", 0), usage.value("cost", 0.0),
                           plain(usage.value("currency", ""))));
  }
  if (s.contains("error"))
    c.out.write(
        wrapped(c.out.paint(style::red, plain(s["error"].get<std::string>())), c.out.width(), "  ", "  "));
  for (const auto& one : s.at("queue")) {
    c.out.line(
        fmt::format("  waits   {}  {}", one.value("prompt", ""), cut(plain(one.value("text", "")), 70)));
  }
  for (const auto& one : s.at("permissions")) {
    c.out.line(fmt::format("  {}    {}  {}", c.out.paint(style::yellow, "asks"), one.value("permission", ""),
                           cut(plain(one.value("title", "")), 70)));
  }
  if (!s.at("permissions").empty())
    c.out.line(fmt::format("  answer: troupe session answer {} allow|always|reject", key));
}

/// Until interrupted, or until the prompt `until_prompt` has ended: then its turn_ended entry.
json watch(context& c, const std::string& key, follower::permissions how, std::uint64_t after,
           const std::string& until_prompt) {
  const auto agent = c.server().snapshot(key).value("agent", "agent");
  auto connection = c.connect();
  json ended;
  std::string task_error;
  follower f(c, connection, how,
             {.on_snapshot =
                  [&](const std::string& topic, const json& now) {
                    if (topic != task_of(key)) return;
                    task_error =
                        now.value("status", "") == "error" ? plain(now.value("error", "")) : std::string();
                  },
              .on_entry =
                  [&](const std::string&, const json& entry) {
                    if (entry.value("type", "") == "turn_ended" && entry.value("prompt", "") == until_prompt)
                      ended = entry;
                  }});
  f.watch_session(key, agent, after);
  if (!until_prompt.empty()) f.watch(task_of(key));
  const auto limit = until_prompt.empty() ? longest_watch : longest_wait;
  f.run([&] { return !ended.is_null() || !task_error.empty(); }, clock::now() + limit);
  f.settle();
  if (ended.is_null() && !task_error.empty()) {
    throw failure(
        fmt::format("the prompt waits, because its task failed: {}", task_error),
        fmt::format("troupe task retry {} gives it a sandbox again", short_id(last_id(task_of(key)))));
  }
  return ended;
}

void prompt(context& c, const options& o) {
  const auto key = c.session_key(o.name);
  const auto text = text_or_stdin(o.text, "the prompt");
  const auto before = c.server().snapshot(key).at("transcript").value("last", std::uint64_t{0});
  const auto sent = c.server().command(key, "session.prompt", {{"text", text}});
  const auto id = sent.at("prompt").get<std::string>();
  if (!o.wait) {
    if (c.print_json(sent)) return;
    const auto status = c.server().snapshot(key).value("status", "");
    const bool waits = sent.value("ahead", 0) > 0 || (!sent.value("running", false) && status == "running");
    c.out.line(waits ? fmt::format("waits for the running turn to end: {}", id)
                     : fmt::format("sent: {}", id));
    if (waits) c.out.line(fmt::format("take it back: troupe session unqueue {} {}", o.name, id));
    return;
  }
  const auto ended =
      watch(c, key, o.yes ? follower::permissions::allow : follower::permissions::ask, before, id);
  if (ended.is_null()) throw failure("the turn has not ended", "troupe session watch follows it");
  if (ended.contains("error")) throw failure("the turn ended with an error");
}

void answer(context& c, const options& o) {
  const auto key = c.session_key(o.name);
  auto id = o.permission;
  if (id.empty()) {
    const auto pending = c.server().snapshot(key).at("permissions");
    if (pending.empty()) throw failure("the session asks for nothing");
    if (pending.size() > 1)
      throw misused("the session asks for several things",
                    "say which with --permission: troupe session show lists them");
    id = pending.front().at("permission").get<std::string>();
  }
  const auto how = o.answer == "allow" ? "allow_once" : o.answer == "always" ? "allow_always" : "reject";
  const auto done =
      c.server().command(key, "session.answer_permission", {{"permission", id}, {"answer", how}});
  if (!c.print_json(done)) c.out.line(fmt::format("answered {}", o.answer));
}

void transcript(context& c, const std::string& key) {
  const auto agent = c.server().snapshot(key).value("agent", "agent");
  transcript_view view(c.out, plain(agent));
  for (std::uint64_t after = 0;;) {
    const auto page = c.server().entries(key, "transcript", after, 256);
    for (const auto& framed : page.at("entries")) {
      after = framed.at("seq").get<std::uint64_t>();
      if (!c.print_json(framed)) view.show(entry_data(framed), entry_time(framed));
    }
    if (page.at("entries").empty() || after >= page.value("end", std::uint64_t{0})) break;
  }
  view.settle();
}

}  // namespace

void add_session(CLI::App& app, context& c) {
  auto* session =
      group(app, "session", "conversations with agents: prompt, follow, answer, stop",
            "  troupe session chat fix-login\n  troupe session prompt fix-login 'now add a test' --wait\n"
            "  troupe session watch fix-login\n"
            "  troupe session answer fix-login allow\n\nSESSION is TASK (its newest session), TASK/SESSION "
            "or a key; TASK is an id, "
            "a branch or a title.\n");
  auto o = std::make_shared<options>();
  const auto named = [&](const char* name, const char* what, const std::string& example,
                         std::function<void()> run) {
    auto* made = action(*session, name, what, example, std::move(run));
    made->add_option("SESSION", o->name, "TASK, TASK/SESSION or a key")->required();
    return made;
  };
  const auto simple = [&](const char* name, const char* what, const char* command, const char* said) {
    return named(name, what, fmt::format("  troupe session {} fix-login\n", name), [&c, o, command, said] {
      const auto done = c.server().command(c.session_key(o->name), command, json::object());
      if (!c.print_json(done)) c.out.line(said);
    });
  };

  auto* made = action(*session, "new", "another conversation in a task's sandbox",
                      "  troupe session new fix-login --agent codex --prompt 'review the change'\n", [&c, o] {
                        json body = json::object();
                        if (!o->agent.empty()) body["agent"] = o->agent;
                        if (!o->model.empty()) body["model"] = o->model;
                        if (!o->mode.empty()) body["mode"] = o->mode;
                        if (!o->title.empty()) body["title"] = o->title;
                        if (!o->text.empty()) body["prompt"] = text_or_stdin(o->text, "the prompt");
                        const auto key = c.task_key(o->name);
                        const auto done = c.server().command(key, "task.create_session", body);
                        if (!c.print_json(done))
                          c.out.line(fmt::format("made {}/session/{}", key, done.value("session", "")));
                      });
  made->add_option("TASK", o->name, "its id, branch, title or key")->required();
  made->add_option("--agent", o->agent, "which (default: the task's)");
  made->add_option("--model", o->model, "a model that the agent offers");
  made->add_option("--mode", o->mode, "a mode that the agent offers");
  made->add_option("--title", o->title, "its name");
  made->add_option("--prompt", o->text, "what it begins with; - reads standard input");

  auto* listed =
      action(*session, "list", "the sessions of a task", "  troupe session list fix-login\n", [&c, o] {
        const auto sessions = c.server().snapshot(c.task_key(o->name)).value("sessions", json::array());
        if (c.print_json(sessions)) return;
        table t({"SESSION", "STATUS", "AGENT", "TITLE"});
        for (const auto& one : sessions) {
          t.row({one.value("session", ""), status_text(c.out, one.value("status", "")),
                 plain(one.value("agent", "")), plain(one.value("title", ""))});
        }
        c.out.write(t.text(c.out));
      });
  listed->add_option("TASK", o->name, "its id, branch, title or key")->required();

  named("show", "status, queue, permission requests, usage", "  troupe session show fix-login\n",
        [&c, o] { show(c, c.session_key(o->name)); });
  named("transcript", "the whole conversation", "  troupe session transcript fix-login --json > talk.jsonl\n",
        [&c, o] { transcript(c, c.session_key(o->name)); });
  named("chat", "talk with the agent: it streams, what is typed goes to it, Ctrl-C stops a turn",
        "  troupe session chat fix-login\n", [&c, o] { chat(c, c.session_key(o->name)); });
  auto* watched = named("watch", "follow the conversation; permission requests are answered at the keyboard",
                        "  troupe session watch fix-login --tail 20\n", [&c, o] {
                          const auto key = c.session_key(o->name);
                          const auto last =
                              c.server().snapshot(key).at("transcript").value("last", std::uint64_t{0});
                          const auto back = static_cast<std::uint64_t>(std::max(0, o->tail));
                          watch(c, key, o->yes ? follower::permissions::allow : follower::permissions::ask,
                                o->tail > 0 && last > back ? last - back : 0, "");
                        });
  watched->add_option("--tail", o->tail, "begin with the last N entries (default: all)");
  watched->add_flag("--yes", o->yes, "allow what the agent asks for");

  auto* prompted = named("prompt", "send a prompt; one that comes while another runs is queued",
                         "  troupe session prompt fix-login 'now add a test' --wait\n  troupe session prompt "
                         "fix-login - < notes.md\n",
                         [&c, o] { prompt(c, *o); });
  prompted->add_option("TEXT", o->text, "what to say; - reads standard input")->required();
  prompted->add_flag("--wait", o->wait, "follow until its turn has ended");
  prompted->add_flag("--yes", o->yes, "with --wait: allow what the agent asks for");

  auto* answered = named("answer", "answer a permission request",
                         "  troupe session answer fix-login always\n", [&c, o] { answer(c, *o); });
  answered->add_option("ANSWER", o->answer, "allow, always or reject")
      ->required()
      ->check(CLI::IsMember({"allow", "always", "reject"}));
  answered->add_option("--permission", o->permission, "which request, where there are several");

  named("cancel", "stop the running turn", "  troupe session cancel fix-login --clear-queue\n", [&c, o] {
    const auto done =
        c.server().command(c.session_key(o->name), "session.cancel", {{"clear_queue", o->clear}});
    if (!c.print_json(done)) c.out.line("cancelled");
  })->add_flag("--clear-queue", o->clear, "and take back the prompts that wait");
  named("unqueue", "take back a prompt that waits", "  troupe session unqueue fix-login 01H…\n",
        [&c, o] {
          const auto done =
              c.server().command(c.session_key(o->name), "session.remove_prompt", {{"prompt", o->id}});
          if (!c.print_json(done)) c.out.line("taken back");
        })
      ->add_option("PROMPT", o->id, "its id: troupe session show lists them")
      ->required();
  named("move", "move a prompt that waits to another place", "  troupe session move fix-login 01H… 1\n",
        [&c, o] {
          const auto done = c.server().command(c.session_key(o->name), "session.move_prompt",
                                               {{"prompt", o->id}, {"position", o->place - 1}});
          if (!c.print_json(done))
            c.out.line(fmt::format("moved to place {}", done.value("position", 0) + 1));
        })
      ->add_option("PROMPT", o->id, "its id: troupe session show lists them")
      ->required();
  session->get_subcommand("move")
      ->add_option("PLACE", o->place, "1 is next")
      ->required()
      ->check(CLI::Range(1, 1000));
  auto* limits =
      named("limits", "what one prompt may take, and what the session may use",
            "  troupe session limits fix-login --prompt-seconds 600 --max-tokens 200000\n", [&c, o] {
              json body = json::object();
              if (o->prompt_seconds > 0) body["prompt_seconds"] = o->prompt_seconds;
              if (o->permission_seconds > 0) body["permission_seconds"] = o->permission_seconds;
              if (o->max_tokens >= 0) body["max_tokens"] = o->max_tokens;
              if (!o->guard.empty()) body["guard"] = o->guard == "on";
              const auto key = c.session_key(o->name);
              if (!body.empty()) c.server().command(key, "session.set_limits", body);
              const auto now = c.server().snapshot(key).at("limits");
              if (c.print_json(now)) return;
              for (const auto& [name, value] : now.items())
                c.out.line(fmt::format("  {}  {}", padded(name, 18), value.dump()));
            });
  limits->add_option("--prompt-seconds", o->prompt_seconds, "a prompt is stopped after this time");
  limits->add_option("--permission-seconds", o->permission_seconds,
                     "an unanswered request is rejected after this time");
  limits->add_option("--max-tokens", o->max_tokens, "the session stops when it has used these; 0: no limit");
  limits->add_option("--guard", o->guard, "on: an agent that ends with an unfinished plan is asked to go on")
      ->check(CLI::IsMember({"on", "off"}));
  const auto set = [&](const char* name, const char* what, const char* command, const char* field) {
    named(name, what, fmt::format("  troupe session {} fix-login VALUE\n", name),
          [&c, o, command, field] {
            const auto done = c.server().command(c.session_key(o->name), command, {{field, o->text}});
            if (!c.print_json(done)) c.out.line("set");
          })
        ->add_option("VALUE", o->text, "the new one")
        ->required();
  };
  set("mode", "change the agent's mode", "session.set_mode", "mode");
  set("model", "change the agent's model", "session.set_model", "model");
  set("rename", "give it a name", "session.rename", "title");
  simple("close", "end it; the transcript stays", "session.close", "closed");
  named("remove", "remove it with its transcript", "  troupe session remove fix-login/01H…\n", [&c, o] {
    const auto key = c.session_key(o->name);
    const auto done = c.server().command(key.substr(0, key.find("/session/")), "task.remove_session",
                                         {{"session", last_id(key)}});
    if (!c.print_json(done)) c.out.line("removed");
  });
  simple("resume", "open a closed or failed one again", "session.resume", "resumed");
}

}  // namespace troupe::cli
