#include <memory>

#include <fmt/format.h>

#include "cli/budgets.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/mcp.h"
#include "cli/named_values.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

void list(context& c) {
  const auto who = c.principal();
  json all = json::array();
  const auto roles = who.value("roles", json::object());
  for (const auto& [name, role] : roles.items()) {
    all.push_back({{"organization", name}, {"role", role}});
  }
  // An administrator of the instance is in no organization by that alone, but may know of all.
  if (who.value("admin", false)) {
    const auto known = c.server().snapshot("access").value("organizations", json::array());
    for (const auto& one : known) {
      const auto name = one.value("organization", "");
      const bool there = std::ranges::any_of(all, [&](const json& a) { return a["organization"] == name; });
      if (!there) all.push_back({{"organization", name}, {"role", nullptr}});
    }
  }
  if (c.print_json(all)) return;
  if (all.empty()) return c.out.line("no organization yet: troupe org create NAME");
  table t({"ORGANIZATION", "ROLE"});
  for (const auto& one : all) {
    t.row({plain(one["organization"].get<std::string>()),
           one["role"].is_string() ? one["role"].get<std::string>() : "-"});
  }
  c.out.write(t.text(c.out));
}

void show(context& c) {
  const auto org = c.server().snapshot(c.org_key());
  if (c.print_json(org)) return;
  const auto& settings = org.at("settings");
  const auto display_name = plain(org.value("display_name", ""));
  c.out.line(
      fmt::format("{}  {}", c.out.paint(style::bold, c.org()), display_name == c.org() ? "" : display_name));
  c.out.line(fmt::format("  agent {}, sandboxes {}, {} tasks", plain(settings.value("default_agent", "")),
                         plain(settings.value("default_provider", "")), org.value("task_count", 0)));
  for (const auto& warning : org.value("warnings", json::array())) {
    c.out.line("  " + c.out.paint(style::yellow, plain(warning.value("detail", ""))));
  }
  if (const auto webhook = org.value("webhook", json()); webhook.is_object()) {
    c.out.line(fmt::format("  webhook {}", plain(webhook.value("url", ""))));
    if (webhook.contains("error"))
      c.out.write(
          wrapped(c.out.paint(style::red, plain(webhook.value("error", ""))), c.out.width(), "    ", "    "));
    else if (webhook.contains("delivered_at"))
      c.out.line(fmt::format("    told {}", ago(webhook.value("delivered_at", std::int64_t{0}), now_ms())));
  }
  table members({"MEMBER", "ROLE", "SINCE"});
  for (const auto& one : org.at("members")) {
    members.row({plain(one.value("user", "")), one.value("role", ""),
                 ago(one.value("added_at", std::int64_t{0}), now_ms())});
  }
  c.out.line();
  c.out.write(members.text(c.out));
}

struct settings {
  std::string name, display_name, agent, model, mode, provider, prefix, user, role;
  std::string max_running;
  std::vector<std::string> require, events;
  std::string url, secret;
};

}  // namespace

void add_org(CLI::App& app, context& c) {
  auto* org =
      group(app, "org", "organizations: make one, see it, its members and settings",
            "  troupe org create acme\n  troupe org list\n  troupe org add-member ada member --org acme\n");
  auto s = std::make_shared<settings>();

  auto* create = action(*org, "create", "make an organization; you become its owner",
                        "  troupe org create acme\n", [&c, s] {
                          json body{{"organization", s->name}};
                          if (!s->display_name.empty()) body["display_name"] = s->display_name;
                          const auto made = c.server().command("access", "access.create_organization", body);
                          if (c.print_json(made)) return;
                          c.out.line(fmt::format("made {}", made.at("key").get<std::string>()));
                          c.out.line(fmt::format("next: troupe repo add URL --org {}", s->name));
                        });
  create->add_option("NAME", s->name, "its id: letters, digits, . _ -")->required();
  create->add_option("--display-name", s->display_name, "what people call it");

  action(*org, "list", "the organizations that you are in", "  troupe org list\n", [&c] { list(c); });
  action(*org, "show", "settings and members of an organization", "  troupe org show --org acme\n",
         [&c] { show(c); });

  auto* set = action(*org, "set", "change settings", "  troupe org set --agent claude\n", [&c, s] {
    json body = json::object();
    if (!s->display_name.empty()) body["display_name"] = s->display_name;
    if (!s->agent.empty()) body["default_agent"] = s->agent;
    if (!s->model.empty()) body["default_model"] = s->model;
    if (!s->mode.empty()) body["default_mode"] = s->mode;
    if (!s->provider.empty()) body["default_provider"] = s->provider;
    if (!s->prefix.empty()) body["branch_prefix"] = s->prefix == "-" ? "" : s->prefix;
    if (!s->max_running.empty()) body["max_running"] = number_or_none(s->max_running, "--max-running", true);
    if (!s->require.empty())
      body["requirements"] = requirements(
          s->require, c.server().snapshot(c.org_key()).at("settings").value("requirements", json::object()));
    if (body.empty()) throw misused("nothing to set", "troupe org set --help lists the settings");
    const auto done = c.server().command(c.org_key(), "org.update_settings", body);
    if (!c.print_json(done)) c.out.line("set");
  });
  set->add_option("--display-name", s->display_name, "what people call it");
  set->add_option("--agent", s->agent, "the agent of tasks that name none");
  set->add_option("--model", s->model, "the model that its agent is asked for");
  set->add_option("--mode", s->mode, "the mode that its agent is asked for");
  set->add_option("--provider", s->provider, "who makes sandboxes: local or unsafe");
  set->add_option("--branch-prefix", s->prefix, "put before branches, as in troupe/; - for none");
  set->add_option("--max-running", s->max_running,
                  "sessions that run at once; 0 for none at all, none for as many as the server lets");
  set->add_option("--require", s->require, requirements_help);

  add_org_budget(*org, c);
  auto* webhook =
      action(*org, "webhook", "have a URL told when a task needs somebody, has finished or has failed",
             "  troupe org webhook https://chat.example.org/hooks/1 --secret webhook\n"
             "  troupe org webhook none\n",
             [&c, s] {
               json body{{"url", s->url == "none" ? json(nullptr) : json(s->url)}};
               if (!s->secret.empty()) body["secret"] = s->secret;
               if (!s->events.empty()) body["events"] = s->events;
               const auto done = c.server().command(c.org_key(), "org.set_webhook", body);
               if (!c.print_json(done))
                 c.out.line(s->url == "none" ? "taken away" : "set; troupe org show says how it goes");
             });
  webhook->add_option("URL", s->url, "where to; none for nowhere")->required();
  webhook->add_option("--secret", s->secret,
                      "the stored secret that signs each notification (Troupe-Signature)");
  webhook->add_option("--event", s->events, "only these; repeatable")
      ->check(CLI::IsMember({"needs_input", "finished", "failed"}));
  add_org_mcp(*org, c);

  const auto member = [&](const char* name, const char* what, const char* command, bool with_role) {
    auto* made =
        action(*org, name, what, fmt::format("  troupe org {} ada{}\n", name, with_role ? " member" : ""),
               [&c, s, command, with_role] {
                 json body{{"user", s->user}};
                 if (with_role) body["role"] = s->role;
                 const auto done = c.server().command(c.org_key(), command, body);
                 if (!c.print_json(done)) c.out.line("done");
               });
    made->add_option("USER", s->user, "login name")->required();
    if (with_role)
      made->add_option("ROLE", s->role, "viewer, member, admin or owner")
          ->required()
          ->check(CLI::IsMember({"viewer", "member", "admin", "owner"}));
  };
  member("add-member", "let a user into the organization", "org.add_member", true);
  member("set-role", "change a member's role", "org.set_member_role", true);
  member("remove-member", "take a user out of the organization", "org.remove_member", false);
}

}  // namespace troupe::cli
