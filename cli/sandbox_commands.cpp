#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/follow.h"
#include "cli/inspect_source.h"
#include "cli/leftovers.h"
#include "cli/programs.h"
#include "cli/remote_terminal.h"
#include "cli/sandbox_view.h"
#include "cli/subcommand.h"
#include "net/wire/message.h"

namespace troupe::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::hours longest_watch{24 * 365};
constexpr std::chrono::seconds start_limit{30};

constexpr const char* any_shell = "command -v bash >/dev/null && exec bash -i; exec sh -i";

struct options {
  std::string name, process, data, cwd;
  std::vector<std::string> command;
  bool follow = false, dry_run = false;
  int tail = 100;
};

void list(context& c) {
  const auto org = c.server().snapshot(c.org_key());
  const auto& sandboxes = org.at("sandboxes");
  if (c.print_json(sandboxes)) return;
  if (sandboxes.at("recent").empty()) return c.out.line("no sandbox");
  std::map<std::string, std::string> branches;
  for (const auto& task : org.at("tasks"))
    branches[c.org_key() + "/task/" + task.value("task", "")] = plain(task.value("branch", ""));
  table t({"SANDBOX", "STATE", "TIER", "CHANGED", "TASK"}, {3, 2});
  for (const auto& one : sandboxes.at("recent")) {
    const auto text = [&](const char* name) {
      return one.at(name).is_string() ? plain(one[name].get<std::string>()) : "-";
    };
    const auto branch = branches.find(text("holder"));
    t.row({short_id(text("sandbox")), sandbox_state(c.out, text("state")), text("tier"),
           ago(one.value("updated_at", std::int64_t{0}), now_ms()),
           branch == branches.end() ? text("holder") : branch->second});
  }
  c.out.write(t.text(c.out));
}

void show(context& c, const std::string& key) {
  const auto s = c.server().snapshot(key);
  if (c.print_json(s)) return;
  c.out.line(
      fmt::format("{}  {}", c.out.paint(style::bold, key), sandbox_state(c.out, s.value("state", ""))));
  if (s.contains("error"))
    c.out.write(
        wrapped(c.out.paint(style::red, plain(s["error"].get<std::string>())), c.out.width(), "  ", "  "));
  c.out.line(
      fmt::format("  provider {}, tier {}", plain(s.value("provider", "")), plain(s.value("tier", "-"))));
  c.out.line(fmt::format("  uses {} MB, {} processes", s.at("use").value("memory_mb", 0),
                         s.at("use").value("pids", 0)));
  c.out.write(promises(c.out, s.value("items", json::object())));
  if (s.at("processes").empty()) return;
  table t({"PROCESS", "STATUS", "EXIT", "COMMAND"});
  for (const auto& one : s["processes"]) {
    std::string command = plain(one.value("command", ""));
    for (const auto& argument : one.value("args", json::array()))
      command += " " + plain(argument.is_string() ? argument.get<std::string>() : argument.dump());
    t.row({one.value("id", ""), one.value("status", ""),
           one.contains("exitCode") && !one["exitCode"].is_null() ? one["exitCode"].dump() : "-", command});
  }
  c.out.line();
  c.out.write(t.text(c.out));
}

void print_log(context& c, const json& framed) {
  const auto& entry = entry_data(framed);
  if (c.print_json(entry)) return;
  const auto time = c.out.paint(style::dim, local_time(entry_time(framed)).substr(11));
  const auto type = entry.value("type", "");
  if (type == "log") {
    const auto text = plain(entry.value("text", ""), true);
    c.out.write(fmt::format(
        "{}  {}{}", time, entry.value("stream", "") == "stderr" ? c.out.paint(style::red, "! ") : "", text));
    if (!text.ends_with('\n')) c.out.line();
  } else if (type == "egress") {
    const bool allowed = entry.value("allowed", false);
    c.out.line(fmt::format("{}  {} {} {}", time,
                           c.out.paint(allowed ? style::green : style::red, allowed ? "allowed" : "refused"),
                           plain(entry.value("method", "")), plain(entry.value("host", ""))));
  } else if (type == "gap") {
    c.out.line(
        fmt::format("{}  {}", time,
                    c.out.paint(style::yellow, fmt::format("{} pieces of output were dropped before anybody "
                                                           "could read them",
                                                           entry.value("missing", std::uint64_t{0})))));
  } else if (type == "state") {
    c.out.line(fmt::format("{}  {} {}", time, sandbox_state(c.out, entry.value("state", "")),
                           c.out.paint(style::dim, plain(entry.value("why", "")))));
  } else {
    c.out.line(cut(fmt::format("{}  {}", time, plain(entry.dump())), c.out.width()));
  }
}

void log(context& c, const options& o) {
  const auto key = c.sandbox_key(o.name);
  const auto last = c.server().snapshot(key).at("log").value("last", std::uint64_t{0});
  const auto back = static_cast<std::uint64_t>(std::max(0, o.tail));
  std::uint64_t after = last > back ? last - back : 0;
  if (!o.follow) {
    while (true) {
      const auto page = c.server().entries(key, "log", after, 256);
      for (const auto& framed : page.at("entries")) {
        after = framed.at("seq").get<std::uint64_t>();
        print_log(c, framed);
      }
      if (page.at("entries").empty() || after >= page.value("end", std::uint64_t{0})) return;
    }
  }
  auto connection = c.connect();
  connection.subscribe(key + "#log", after);
  const auto until = std::chrono::steady_clock::now() + longest_watch;
  while (const auto frame = connection.next(until)) {
    if (frame->value("op", "") == "gone") throw failure(key + " is gone");
    if (frame->value("op", "") == "entries") {
      for (const auto& framed : frame->at("entries")) print_log(c, framed);
    }
  }
}

void prune_sandboxes(context& c, bool dry_run) {
  const auto source = source_of(c);
  fs::path data = c.data.empty() ? ".troupe" : c.data;
  if (c.data.empty() && !fs::exists(data / "host.sqlite"))
    if (const auto left = server_file::read(c.place().from)) data = left->data;
  if (!fs::exists(data / "host.sqlite"))
    throw failure(
        fmt::format("{} is no data folder of this machine", data.string()),
        "sandboxes are looked for where they are: run this on the server's machine, with --data DIR");
  const auto known = known_by([&](const std::string& key, const std::string& sql) -> std::optional<json> {
    try {
      return source->sql(key, sql);
    } catch (const failure& why) {
      if (why.status() == 404) return std::nullopt;
      throw;
    }
  });
  const auto done = drivers::prune(
      {.sandboxd = find_sandboxd().string(), .data = data, .whole_machine = true, .dry_run = dry_run}, known);
  if (!done) throw failure(done.error().why.detail);
  if (!c.print_json({{dry_run ? "found" : "removed", done->found}, {"failed", done->failed}})) {
    for (const auto& one : done->found)
      c.out.line((dry_run ? "would remove  " : "removed  ") + leftover_line(one));
    for (const auto& one : done->failed)
      c.out.line(fmt::format("failed  {}: {}", leftover_line(one), plain(one.value("text", ""))));
    if (done->found.empty() && done->failed.empty())
      c.out.line("nothing is left of any sandbox that no row knows");
  }
  if (!done->failed.empty())
    throw failure("not everything could be removed", "run this as the user who serves");
}

// Its name for the sandbox's daemon, once it has started; why not, when it does not.
std::string started_process(context& c, const std::string& key, const std::string& process) {
  auto connection = c.connect();
  connection.subscribe(key);
  const auto until = std::chrono::steady_clock::now() + start_limit;
  while (const auto frame = connection.next(until)) {
    if (frame->value("op", "") != "snapshot") continue;
    for (const auto& one : frame->at("data").value("processes", json::array())) {
      if (one.value("id", "") != process) continue;
      if (one.value("status", "") == "failed")
        throw failure(fmt::format("it did not start: {}", plain(one.value("why", "no reason was given"))));
      if (!one.value("tty", false))
        throw misused(fmt::format("process {} has no terminal", process),
                      "troupe sandbox log shows what it says; without --process a new shell is opened");
      if (one.contains("daemon_id") && one["daemon_id"].is_string())
        return one["daemon_id"].get<std::string>();
    }
  }
  throw failure(
      fmt::format("{} has no process {} that started within {} s", key, process, start_limit.count()),
      "troupe sandbox show lists them");
}

// "org/acme/sandbox/box"
std::string door_of(const std::string& key) {
  const auto middle = key.find("/sandbox/");
  return "/sandboxes/" + wire::percent_encode(key.substr(4, middle - 4)) + "/" +
         wire::percent_encode(key.substr(middle + 9)) + "/v1";
}

void shell(context& c, const options& o) {
  const auto key = c.sandbox_key(o.name);
  auto process = o.process;
  if (process.empty()) {
    json body{{"command", "sh"}, {"args", {"-c", any_shell}}, {"tty", true}};
    if (!o.command.empty()) {
      body["command"] = o.command.front();
      body["args"] = std::vector<std::string>(o.command.begin() + 1, o.command.end());
    }
    const char* kind = std::getenv("TERM");
    body["environment"]["TERM"] = kind && *kind ? kind : "xterm-256color";
    body["cwd"] = o.cwd.empty() ? "/workspace" : o.cwd;
    process = c.server().command(key, "sandbox.run", body).at("process").get<std::string>();
  }
  const auto daemon_id = started_process(c, key, process);
  c.err.line(c.err.paint(style::dim, "Ctrl-] d leaves it running"));
  const auto place = c.place();
  const auto end =
      show_terminal(place, door_of(key) + "/processes/" + wire::percent_encode(daemon_id) + "/terminal/ws");
  switch (end.how) {
    case terminal_end::kind::exited:
      c.err.line(
          c.err.paint(style::dim, end.code ? fmt::format("ended with {}", *end.code) : "ended by a signal"));
      break;
    case terminal_end::kind::left:
      c.err.line(c.err.paint(
          style::dim, fmt::format("left; back with: troupe sandbox shell {} --process {}", o.name, process)));
      break;
    case terminal_end::kind::refused:
      throw failure(plain(end.why), "troupe sandbox show tells how the sandbox is");
  }
}

}  // namespace

void add_sandbox(CLI::App& app, context& c) {
  auto* sandbox = group(app, "sandbox", "where agents run: state, limits, processes, log",
                        "  troupe sandbox list\n  troupe sandbox run fix-login -- make test\n  troupe "
                        "sandbox log fix-login --follow\n\n"
                        "SANDBOX is its id or the end of it, the task that holds it, or a key.\n");
  auto o = std::make_shared<options>();
  action(*sandbox, "list", "the sandboxes of the organization", "  troupe sandbox list\n", [&c] { list(c); });
  action(*sandbox, "prune", "end what is left of sandboxes that no row knows",
         "  troupe sandbox prune --dry-run\n  troupe sandbox prune --data /srv/troupe\n\n"
         "Processes, mounts, folders, sockets, control groups and claims on uids, of this data folder; and "
         "of others what\n"
         "certainly is nobody's: supervisors whose folder is gone, control groups empty for a minute.\n",
         [&c, o] { prune_sandboxes(c, o->dry_run); })
      ->add_flag("--dry-run", o->dry_run, "only say what there is");
  const auto named = [&](const char* name, const char* what, const std::string& example,
                         std::function<void()> run) {
    auto* made = action(*sandbox, name, what, example, std::move(run));
    made->add_option("SANDBOX", o->name, "its id, the task that holds it, or a key")->required();
    return made;
  };
  named("show", "state, what is enforced, processes", "  troupe sandbox show fix-login\n",
        [&c, o] { show(c, c.sandbox_key(o->name)); });
  auto* logged = named("log", "output of processes, requests to the network, changes of state",
                       "  troupe sandbox log fix-login --follow\n", [&c, o] { log(c, *o); });
  logged->add_flag("--follow,-f", o->follow, "and what comes");
  logged->add_option("--tail", o->tail, "begin with the last N entries")->capture_default_str();

  auto* run =
      named("run", "start a process; its output is in the log",
            "  troupe sandbox run fix-login --cwd /workspace -- make -j2 test\n", [&c, o] {
              json body{{"command", o->command.front()},
                        {"args", json(std::vector<std::string>(o->command.begin() + 1, o->command.end()))}};
              if (!o->cwd.empty()) body["cwd"] = o->cwd;
              const auto done = c.server().command(c.sandbox_key(o->name), "sandbox.run", body);
              if (!c.print_json(done)) c.out.line(fmt::format("started {}", done.value("process", "")));
            });
  run->add_option("COMMAND", o->command, "the program and its arguments, after --")->required();
  run->add_option("--cwd", o->cwd, "where (default: the workspace)");

  auto* opened = named("shell", "a terminal in it; several may share one",
                       "  troupe sandbox shell fix-login\n  troupe sandbox shell fix-login -- python3\n"
                       "  troupe sandbox shell fix-login --process 01H…\n",
                       [&c, o] { shell(c, *o); });
  opened->add_option("--process", o->process, "join this one instead of opening a new shell");
  opened->add_option("--cwd", o->cwd, "where (default: the workspace)");
  opened->add_option("COMMAND", o->command, "what to run instead of a shell, after --");

  const auto process = [&](const char* name, const char* what, const char* command) {
    auto* made =
        named(name, what, fmt::format("  troupe sandbox {} fix-login 01H…\n", name), [&c, o, command] {
          json body{{"process", o->process}};
          if (!o->data.empty()) body["data"] = o->data;
          const auto done = c.server().command(c.sandbox_key(o->name), command, body);
          if (!c.print_json(done)) c.out.line("done");
        });
    made->add_option("PROCESS", o->process, "its id: troupe sandbox show lists them")->required();
    return made;
  };
  process("stop", "ask a process to end", "sandbox.stop_process");
  process("end", "kill a process", "sandbox.kill_process");
  process("input", "write to a process", "sandbox.send_input")
      ->add_option("TEXT", o->data, "what")
      ->required();

  const auto simple = [&](const char* name, const char* what, const char* command) {
    named(name, what, fmt::format("  troupe sandbox {} fix-login\n", name), [&c, o, command] {
      const auto done = c.server().command(c.sandbox_key(o->name), command, json::object());
      if (!c.print_json(done)) c.out.line("asked; troupe sandbox show says how it went");
    });
  };
  simple("pause", "freeze everything in it; memory is kept", "sandbox.pause");
  simple("resume", "go on after a pause", "sandbox.resume");
  simple("kill", "end every process, keep the files", "sandbox.kill");
  simple("start", "start a killed one again on its files", "sandbox.start");
  simple("destroy", "remove it with its files", "sandbox.destroy");
}

}  // namespace troupe::cli
