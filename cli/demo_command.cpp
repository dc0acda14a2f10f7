// One real task, end to end, shown while it happens.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "agents/registry.h"
#include "cli/audit_view.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/diff_view.h"
#include "cli/follow.h"
#include "cli/programs.h"
#include "cli/sandbox_view.h"
#include "cli/subcommand.h"
#include "cli/task_view.h"
#include "cli/temporary_server.h"
#include "cli/tools.h"
#include "cli/watch_task.h"

namespace troupe::cli {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

constexpr auto step_limit = 60s;
constexpr auto task_limit = 4h;
constexpr auto clean_limit = 10s;
constexpr auto look_again = 10ms;
constexpr std::size_t shown_diff_lines = 60;
constexpr const char* organization = "demo";
constexpr const char* default_prompt = "Look around this repository, and leave a note about what you found.";

std::atomic<bool> interrupted = false;

struct options {
  std::string repository, agent = "scripted", prompt = default_prompt;
  bool yes = false, own = false, keep = false, unsafe = false;
};

/// The clone that the caller stands in, or what was named.
std::string repository_of(const std::string& named) {
  if (named.find("://") != std::string::npos) return named;
  const auto folder = named.empty() ? std::string(".") : named;
  const auto found = run_program({"git", "-C", folder, "rev-parse", "--show-toplevel"}, 10);
  auto top = found.output.substr(0, found.output.find('\n'));
  if (found.exit_code == 0 && !top.empty()) return top;
  std::error_code error;
  if (!named.empty() && fs::is_directory(named, error)) return fs::canonical(named, error).string();
  if (!named.empty()) return named;
  throw failure("this folder is no clone of a git repository",
                "stand in one, or name one: troupe demo --repo PATH_OR_URL");
}

/// Whether that server is known to take no repository at `path`.
bool refuses(const place_of_server& server, const std::string& path) {
  if (path.find("://") != std::string::npos || !server.repository_roots) return false;
  const auto below = [&](const fs::path& root) {
    const fs::path repository(path);
    return std::mismatch(root.begin(), root.end(), repository.begin(), repository.end()).first == root.end();
  };
  return std::ranges::none_of(*server.repository_roots, below);
}

class demo {
 public:
  demo(context& c, options o) : c_(c), o_(std::move(o)) {}

  void run() {
    url_ = repository_of(o_.repository);
    if (!c_.as_json) {
      c_.out.line();
      c_.out.line(fmt::format("  {}  {}", c_.out.paint(style::bold, "troupe demo"),
                              c_.out.paint(style::dim, "one real task, end to end")));
      c_.out.line();
    }
    find_or_start_server();
    try {
      live connection = c_.connect();
      make_organization();
      give_keys();
      add_repository(connection);
      create_task();
      follow(connection);
      if (!interrupted) {
        show_diff();
        show_audit();
        show_ways_on();
        wait_for_enter();
      }
    } catch (const failure&) {
      // Sandboxes outlive their server, and nobody else would end this one.
      clean_up();
      throw;
    }
    clean_up();
    if (interrupted) throw failure("interrupted");
  }

 private:
  std::string since(clock::time_point then) const {
    return c_.out.paint(style::dim,
                        duration(std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - then)));
  }

  void fact(std::string_view name, const std::string& value, clock::time_point began, json event) {
    event["event"] = name;
    event["ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - began).count();
    if (!c_.print_json(event))
      c_.out.line(
          fmt::format("  {} {}  {}", c_.out.paint(style::dim, padded(name, 12)), value, since(began)));
  }

  /// Else npm would bring it into the sandbox, unseen, for minutes.
  void require_installed() const {
    const auto* agent = agents::find(o_.agent);
    if (agent == nullptr || agent->packages.empty() || installed_version(tools_folder(""), agent->id)) return;
    throw failure(fmt::format("{} is not installed", agent->name),
                  fmt::format("troupe agent install {}", agent->id));
  }

  void find_or_start_server() {
    const auto began = clock::now();
    const auto known = o_.own ? std::nullopt : find_server(c_.server_url, c_.token, c_.data);
    bool answers = false;
    if (known) {
      try {
        api(*known, 3s).get("/v1/health");
        answers = true;
      } catch (const failure&) {
        // A file of a server that has ended: the demo brings its own. One that was named must answer.
        if (!c_.server_url.empty()) throw;
      }
    }
    if (answers && refuses(*known, url_) && c_.server_url.empty()) {
      answers = false;
      const auto why =
          fmt::format("the server at {} takes no repository at {} (its --repo-root)", known->url, url_);
      if (!c_.print_json({{"event", "server_passed_over"}, {"url", known->url}, {"why", why}}))
        c_.out.line(c_.out.paint(style::dim, fmt::format("  {}: the demo starts its own", why)));
    }
    if (!answers) {
      std::vector<std::string> serve_options;
      if (url_.find("://") == std::string::npos)
        serve_options.insert(serve_options.end(), {"--repo-root", url_});
      if (o_.unsafe) serve_options.push_back("--unsafe-no-isolation");
      require_installed();
      own_ = std::make_unique<temporary_server>(serve_options);
      c_.server_url = own_->place().url;
      c_.token = own_->place().token;
    }
    const auto place = c_.place();
    fact("server",
         fmt::format("{}  {}", c_.out.paint(style::cyan, place.url),
                     own_ ? fmt::format("started for the demo, sandboxes {}", own_->tier()) : "was running"),
         began, {{"url", place.url}, {"own", own_ != nullptr}});
  }

  /// An actor that a command is about to bring about: its first answer, waited for. The snapshot is not
  /// subscribed to because a topic that does not exist is refused.
  json appearing(const std::string& key) {
    for (const auto until = clock::now() + step_limit;;) {
      try {
        return c_.server().snapshot(key);
      } catch (const failure& why) {
        if (why.status() != 404 || clock::now() > until || interrupted) throw;
      }
      std::this_thread::sleep_for(look_again);
    }
  }

  void make_organization() {
    const auto began = clock::now();
    c_.organization = organization;
    bool made = true;
    try {
      c_.server().command("access", "access.create_organization",
                          {{"organization", organization}, {"display_name", "Demo"}});
    } catch (const failure& why) {
      if (why.status() != 409) throw;
      made = false;
    }
    appearing(c_.org_key());
    fact("organization",
         fmt::format("{}  {}", c_.out.paint(style::bold, organization), made ? "made" : "was there"), began,
         {{"organization", organization}, {"made", made}});
  }

  /// Its own server knows no secrets: the agent gets the keys that this shell has.
  void give_keys() {
    const auto* agent = agents::find(o_.agent);
    if (!own_ || agent == nullptr) return;
    for (const auto& name : agent->credentials)
      if (const char* value = std::getenv(name.c_str()); value && *value)
        c_.server().send("PUT", fmt::format("/v1/secrets/{}/{}", organization, name), {{"value", value}});
  }

  void add_repository(live& connection) {
    const auto began = clock::now();
    const auto known = c_.server().snapshot(c_.org_key());
    for (const auto& one : known.at("repositories")) {
      if (one.value("url", "") == url_) repository_ = one.at("repository").get<std::string>();
    }
    if (repository_.empty()) {
      repository_ = c_.server()
                        .command(c_.org_key(), "org.add_repository", {{"url", url_}})
                        .at("repository")
                        .get<std::string>();
    } else {
      c_.server().command(c_.org_key(), "org.check_repository", {{"repository", repository_}});
    }
    connection.subscribe(c_.org_key());
    std::string branch;
    while (branch.empty()) {
      const auto frame = connection.next(began + step_limit);
      if (!frame)
        throw failure(fmt::format("the check of {} takes too long", url_),
                      fmt::format("troupe repo show {} --org demo", repository_));
      if (frame->value("op", "") != "snapshot" || frame->value("topic", "") != c_.org_key()) continue;
      for (const auto& one : frame->at("data").at("repositories")) {
        if (one.value("repository", "") != repository_ || one.value("state", "") == "checking") continue;
        if (one.value("state", "") == "error") {
          throw failure(
              fmt::format("{} cannot be used: {}", url_, plain(one.at("error").value("detail", ""), true)),
              own_ ? "name another with --repo"
                   : "name another with --repo; a path needs a server that was started with --repo-root, or "
                     "--own-server");
        }
        branch = one.at("default_branch").is_string() ? one["default_branch"].get<std::string>() : "?";
      }
    }
    connection.unsubscribe(c_.org_key());
    fact("repository",
         fmt::format("{}  {}  {}", c_.out.paint(style::bold, plain(repository_)), plain(branch),
                     c_.out.paint(style::dim, plain(url_))),
         began, {{"repository", repository_}, {"url", url_}, {"branch", branch}});
  }

  void create_task() {
    const auto began = clock::now();
    json body{{"repository", repository_}, {"description", o_.prompt}, {"agent", o_.agent}};
    // The server only allows it; a task has to ask for it.
    if (o_.unsafe) body["provider"] = "unsafe";
    const auto made = c_.server().command(c_.org_key(), "org.create_task", body);
    branch_ = made.at("branch").get<std::string>();
    key_ = fmt::format("{}/task/{}", c_.org_key(), made.at("task").get<std::string>());
    fact("task",
         fmt::format("{}  {}", c_.out.paint(style::bold, plain(made.value("title", ""))),
                     c_.out.paint(style::cyan, plain(branch_))),
         began, {{"task", made.at("task")}, {"key", key_}, {"title", made.at("title")}, {"branch", branch_}});
    if (!c_.as_json) c_.out.line();
    appearing(key_);
  }

  void follow(live& connection) {
    provisioning_view steps(c_.out);
    bool turn_over = false;
    json last = json::object();
    follower* watching = nullptr;
    follower f(c_, connection, o_.yes ? follower::permissions::allow : follower::permissions::ask,
               {.on_snapshot =
                    [&](const std::string& topic, const json& snapshot) {
                      if (topic != key_) return;
                      last = snapshot;
                      if (c_.as_json) {
                        c_.print_json({{"event", "snapshot"}, {"topic", topic}, {"snapshot", snapshot}});
                      } else {
                        watching->settle();
                        if (steps.show(snapshot) && snapshot.value("status", "") == "running") c_.out.line();
                      }
                      // The agent's words follow the last step of making it ready.
                      const auto status = snapshot.value("status", "");
                      if (status == "queued" || status == "provisioning") return;
                      for (const auto& one : snapshot.value("sessions", json::array())) {
                        watching->watch_session(fmt::format("{}/session/{}", key_, one.value("session", "")),
                                                one.value("agent", o_.agent));
                      }
                    },
                .on_entry =
                    [&](const std::string&, const json& entry) {
                      if (entry.value("type", "") == "turn_ended") {
                        turn_over = true;
                        turn_ended_at_ = now_ms();
                      }
                    }});
    watching = &f;
    f.watch(key_);
    const auto done = [&] {
      if (interrupted) return true;
      const auto status = last.value("status", "");
      if (status == "error") return true;
      // The diff is looked at once more after a turn; without that the demo would show the one before.
      const auto diff = last.value("diff", json::object());
      return turn_over && status == "idle" && !diff.value("refreshing", false) &&
             diff.value("at", std::int64_t{0}) > 0;
    };
    const bool ended = f.run(done, clock::now() + task_limit);
    f.settle();
    if (last.value("status", "") == "error" && !interrupted) {
      throw failure(fmt::format("the task failed: {}", plain(last.value("error", ""), true)),
                    "troupe doctor says what is missing");
    }
    if (!ended) throw failure("the task takes too long");
  }

  void show_diff() {
    const auto found = c_.server().query(key_, "task.diff", json::object());
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - began_);
    if (c_.print_json({{"event", "diff"}, {"ms", took.count()}, {"diff", found}})) return;
    c_.out.line();
    const json numbers{{"files", found.at("files").size()},
                       {"additions", found.at("additions")},
                       {"deletions", found.at("deletions")}};
    const auto words = diff_numbers(c_.out, numbers);
    c_.out.line(fmt::format("  {}  {}", c_.out.paint(style::bold, "what changed"),
                            words.empty() ? "nothing" : words));
    c_.out.write(coloured_diff(c_.out, diff_text(found), "  ", shown_diff_lines));
    c_.out.line();
    c_.out.line(fmt::format("  {} from the start to the diff", c_.out.paint(style::bold, duration(took))));
  }

  void show_audit() {
    const auto found = c_.server().query(c_.org_key() + "/audit-log", "audit.list",
                                         {{"task", last_id(key_)}, {"limit", 50}});
    const auto& entries = found.at("entries");
    if (c_.print_json({{"event", "audit"}, {"entries", entries}})) return;
    c_.out.line();
    c_.out.line(fmt::format("  {}", c_.out.paint(style::bold, "what the audit log says")));
    for (auto at = entries.rbegin(); at != entries.rend(); ++at)
      c_.out.line("  " + audit_line(terminal(stdout, c_.out.colour(), c_.out.width() - 2), *at, false));
  }

  /// Whether the server is still there once the demo has said everything.
  bool stays() const { return !own_ || o_.keep || asks_before_the_end(); }
  bool asks_before_the_end() const {
    return own_ && !o_.keep && !o_.yes && !c_.as_json && ::isatty(0) && c_.out.interactive();
  }

  void show_ways_on() {
    if (c_.as_json) return;
    c_.out.line();
    c_.out.line(fmt::format("  {}", c_.out.paint(style::bold, "look further")));
    const auto line = [&](const char* what, const std::string& command) {
      c_.out.line(fmt::format("  {:<24} {}", what, command));
    };
    if (!stays()) {
      line("the same, to stay", "troupe demo --keep");
      line("in a browser", "troupe serve --repo-root . in one terminal, troupe demo in another");
      return c_.out.line();
    }
    const auto where = own_ ? fmt::format(" --data {}", own_->data().string()) : std::string();
    if (o_.keep && own_) {
      line("serve it again", fmt::format("troupe serve{} --repo-root {}", where, url_));
    } else if (own_ && !own_->sign_in_link().empty()) {
      line("in a browser", c_.out.paint(style::cyan, own_->sign_in_link()));
    }
    line("say more to the agent", fmt::format("troupe task send {} 'run ls -l'{}", branch_, where));
    line("every command it took", fmt::format("troupe inspect history {} --changes{}", key_, where));
    line("what the actors do", fmt::format("troupe inspect tail{}", where));
    line("its own database", fmt::format("troupe inspect query {} 'select * from step'{}", key_, where));
    c_.out.line();
  }

  void wait_for_enter() {
    if (!asks_before_the_end()) return;
    c_.out.write(c_.out.paint(
        style::dim, "  the demo's server runs until you press Enter; then it and its data are gone "));
    std::string line;
    std::getline(std::cin, line);
  }

  void clean_up() {
    if (!own_) return;
    if (o_.keep) {
      own_->keep();
      return;
    }
    try {
      if (key_.empty()) return own_.reset();
      c_.server().command(c_.org_key(), "org.delete_task", {{"task", last_id(key_)}, {"discard", true}});
      for (const auto until = clock::now() + clean_limit; clock::now() < until;
           std::this_thread::sleep_for(look_again)) {
        const auto org = c_.server().snapshot(c_.org_key());
        if (org.value("task_count", 0) == 0 && org.at("sandboxes").value("count", 0) == 0) break;
      }
    } catch (const failure& why) {
      c_.err.line(fmt::format("the demo's sandbox may be left over: {} (troupe sandbox list)", why.what()));
    }
    own_.reset();
  }

  context& c_;
  options o_;
  clock::time_point began_ = clock::now();
  std::unique_ptr<temporary_server> own_;
  std::string url_, repository_, key_, branch_;
  std::int64_t turn_ended_at_ = 0;
};

}  // namespace

void add_demo(CLI::App& app, context& c) {
  auto o = std::make_shared<options>();
  auto* made =
      action(app, "demo", "watch an agent do one task in a sandbox, from an empty organization to the diff",
             "  troupe demo\n  troupe demo --yes\n  troupe demo --repo https://example.org/widgets.git "
             "--agent claude --prompt 'Fix the build'\n",
             [&c, o] {
               if (!o->yes && (!::isatty(0) || !::isatty(1)) && !c.as_json) {
                 throw misused("there is no keyboard here to answer permission requests with",
                               "allow them: troupe demo --yes");
               }
               if (!o->yes && c.as_json)
                 throw misused("with --json nothing is asked at the keyboard", "troupe demo --json --yes");
               struct sigaction on_interrupt {};
               on_interrupt.sa_handler = [](int) { interrupted = true; };
               ::sigaction(SIGINT, &on_interrupt, nullptr);
               demo(c, *o).run();
             });
  made->add_option("--repo", o->repository, "path or URL (default: the clone that you stand in)");
  made->add_option("--agent", o->agent, "who does it; scripted needs no model and no key")
      ->capture_default_str();
  made->add_option("--prompt", o->prompt, "what is to be done")->capture_default_str();
  made->add_flag("--yes", o->yes, "allow what the agent asks for");
  made->add_flag("--own-server", o->own, "start a server for the demo although one is running");
  made->add_flag("--keep", o->keep, "keep the data folder of the demo's own server");
  made->add_flag("--unsafe-no-isolation", o->unsafe,
                 "run the agent without isolation where there is no other way");
}

}  // namespace troupe::cli
