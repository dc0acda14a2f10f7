#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/named_values.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

constexpr std::chrono::seconds check_limit{60};

struct options {
  std::string repository, url, base, setup, cache, credential, network;
  std::vector<std::string> environment, allow;
  bool no_wait = false;
};

json settings(const options& o) {
  json body = json::object();
  if (!o.base.empty()) body["base_branch"] = o.base;
  if (!o.setup.empty()) body["setup_command"] = o.setup;
  if (!o.cache.empty()) body["cache_folder"] = o.cache;
  if (!o.credential.empty()) body["credential"] = o.credential;
  if (!o.environment.empty()) body["environment"] = named_values(o.environment, "--env");
  if (!o.network.empty() || !o.allow.empty()) {
    body["network"] = {{"rule", o.network.empty() ? "allow" : o.network}};
    if (!o.allow.empty()) body["network"]["allow"] = o.allow;
  }
  return body;
}

/// A path of this machine becomes absolute: the server stands elsewhere.
std::string address(const std::string& given) {
  std::error_code error;
  if (given.find("://") == std::string::npos && std::filesystem::is_directory(given, error)) {
    return std::filesystem::canonical(given).string();
  }
  return given;
}

std::string state_text(const terminal& out, const json& repository) {
  const auto state = repository.value("state", "");
  if (state == "ready") return out.paint(style::green, state);
  if (state == "error") return out.paint(style::red, state);
  return out.paint(style::yellow, state);
}

/// Waits until the check that adding began is over; throws when it failed.
json settled(context& c, const std::string& name) {
  const auto until = std::chrono::steady_clock::now() + check_limit;
  auto connection = c.connect();
  connection.subscribe(c.org_key());
  while (const auto frame = connection.next(until)) {
    if (frame->value("op", "") != "snapshot") continue;
    for (const auto& one : frame->at("data").value("repositories", json::array())) {
      if (one.value("repository", "") != name || one.value("state", "") == "checking") continue;
      if (one.value("state", "") == "ready") return one;
      const auto why = one.value("error", json::object());
      throw failure(
          fmt::format("{}: {}", name, plain(why.value("detail", ""), true)),
          fmt::format("correct it with `troupe repo set {0} --url …` or remove it: troupe repo remove {0}",
                      name));
    }
  }
  throw failure(fmt::format("{} is still being checked after {} s", name, check_limit.count()),
                fmt::format("look again later: troupe repo show {}", name));
}

void show(context& c, const std::string& name) {
  const auto repo = c.server().query(c.org_key(), "org.get_repository", {{"repository", name}});
  if (c.print_json(repo)) return;
  c.out.line(fmt::format("{}  {}  {}", c.out.paint(style::bold, plain(name)), state_text(c.out, repo),
                         plain(repo.value("url", ""))));
  const auto line = [&](const char* what, const char* field) {
    if (const auto at = repo.find(field);
        at != repo.end() && !at->is_null() && !(at->is_object() && at->empty())) {
      c.out.line(
          fmt::format("  {:<16}{}", what, plain(at->is_string() ? at->get<std::string>() : at->dump())));
    }
  };
  line("default branch", "default_branch");
  line("base branch", "base_branch");
  line("setup", "setup_command");
  line("cache folder", "cache_folder");
  line("credential", "credential");
  const auto words = [&](const char* what, const std::string& text) {
    if (!text.empty()) c.out.line(fmt::format("  {:<16}{}", what, plain(text)));
  };
  const auto network = repo.value("network", json());
  if (network.is_object()) {
    words("network", fmt::format("{} {}", network.value("rule", ""),
                                 fmt::join(network.value("allow", std::vector<std::string>()), ", ")));
  }
  std::string variables;
  const auto environment = repo.value("environment", json::object());
  for (const auto& [variable, value] : environment.items()) {
    variables +=
        fmt::format("{}{}={}", variables.empty() ? "" : ", ", variable,
                    value.is_string() ? value.get<std::string>() : "secret:" + value.value("secret", ""));
  }
  words("environment", variables);
  line("tasks", "tasks");
  if (repo.at("error").is_object()) {
    c.out.write(wrapped(c.out.paint(style::red, plain(repo["error"].value("detail", ""))), c.out.width(),
                        "  ", "  "));
  }
}

void list(context& c) {
  const auto repositories = c.server().snapshot(c.org_key()).at("repositories");
  if (c.print_json(repositories)) return;
  if (repositories.empty()) return c.out.line("no repository yet: troupe repo add URL");
  table t({"REPOSITORY", "STATE", "BRANCH", "TASKS", "URL"});
  for (const auto& one : repositories) {
    const auto& branch = one.at(one.at("base_branch").is_string() ? "base_branch" : "default_branch");
    t.row({plain(one.value("repository", "")), state_text(c.out, one),
           branch.is_string() ? plain(branch.get<std::string>()) : "-", std::to_string(one.value("tasks", 0)),
           plain(one.value("url", ""))});
  }
  c.out.write(t.text(c.out));
}

void add_settings(CLI::App* to, const std::shared_ptr<options>& o) {
  to->add_option("--base", o->base, "the branch that tasks begin at (default: the remote's)");
  to->add_option("--setup", o->setup, "a command that runs once in each new sandbox, before the agent");
  to->add_option("--env", o->environment, "NAME=VALUE or NAME=secret:SECRET; repeatable");
  to->add_option("--cache", o->cache, "a folder kept between sandboxes");
  to->add_option("--credential", o->credential, "the secret that git signs in with");
  to->add_option("--network", o->network, "none, public or allow")
      ->check(CLI::IsMember({"none", "public", "allow"}));
  to->add_option("--allow", o->allow, "a host that may be reached; repeatable");
}

}  // namespace

void add_repo(CLI::App& app, context& c) {
  auto* repo = group(app, "repo", "git repositories of an organization",
                     "  troupe repo add https://example.org/widgets.git\n  troupe repo add . --base main\n"
                     "  troupe repo list\n");
  auto o = std::make_shared<options>();

  auto* add = action(
      *repo, "add", "add a repository by URL (https, ssh, file) or by path on the server",
      "  troupe repo add https://example.org/widgets.git --setup 'npm ci'\n  troupe repo add ~/widgets\n",
      [&c, o] {
        auto body = settings(*o);
        body["url"] = address(o->url);
        if (!o->repository.empty()) body["repository"] = o->repository;
        auto made = c.server().command(c.org_key(), "org.add_repository", body);
        const auto name = made.at("repository").get<std::string>();
        if (!o->no_wait) made = settled(c, name);
        if (c.print_json(made)) return;
        c.out.line(fmt::format("{}  {}", c.out.paint(style::bold, name), state_text(c.out, made)));
        c.out.line(fmt::format("next: troupe task new --repo {} 'what is to be done'", name));
      });
  add->add_option("URL", o->url, "where it is")->required();
  add->add_option("--name", o->repository, "its name here (default: from the URL)");
  add->add_flag("--no-wait", o->no_wait, "do not wait for the check");
  add_settings(add, o);

  action(*repo, "list", "the repositories of the organization", "  troupe repo list\n", [&c] { list(c); });

  const auto named = [&](const char* name, const char* what, std::function<void()> run) {
    auto* made = action(*repo, name, what, fmt::format("  troupe repo {} widgets\n", name), std::move(run));
    made->add_option("REPOSITORY", o->repository, "its name")->required();
    return made;
  };
  named("show", "one repository with its settings", [&c, o] { show(c, o->repository); });
  named("check", "ask the remote again whether it answers", [&c, o] {
    c.server().command(c.org_key(), "org.check_repository", {{"repository", o->repository}});
    const auto now = settled(c, o->repository);
    if (!c.print_json(now)) c.out.line(fmt::format("{}  {}", o->repository, state_text(c.out, now)));
  });
  auto* set = named("set", "change settings", [&c, o] {
    auto body = settings(*o);
    if (!o->url.empty()) body["url"] = address(o->url);
    if (body.empty()) throw misused("nothing to set", "troupe repo set --help lists the settings");
    body["repository"] = o->repository;
    const auto done = c.server().command(c.org_key(), "org.update_repository", body);
    if (!c.print_json(done)) c.out.line("set");
  });
  set->add_option("--url", o->url, "where it is now");
  add_settings(set, o);
  named("remove", "remove it from the organization; its tasks must be gone", [&c, o] {
    const auto done =
        c.server().command(c.org_key(), "org.remove_repository", {{"repository", o->repository}});
    if (!c.print_json(done)) c.out.line("removed");
  });
}

}  // namespace troupe::cli
