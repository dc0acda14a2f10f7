#include "cli/mcp.h"

#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/context.h"
#include "cli/named_values.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace {

struct options {
  std::string name, url, command, type = "http";
  std::vector<std::string> arguments, environment, headers;
};

json servers(context& c) {
  return c.server().snapshot(c.org_key()).at("settings").value("mcp_servers", json::array());
}

json without(const json& all, const std::string& name) {
  json kept = json::array();
  for (const auto& one : all)
    if (one.value("name", "") != name) kept.push_back(one);
  return kept;
}

void store(context& c, const json& all, const char* said) {
  const auto done = c.server().command(c.org_key(), "org.update_settings", {{"mcp_servers", all}});
  if (!c.print_json(done)) c.out.line(said);
}

void add(context& c, const options& o) {
  if (o.url.empty() == o.command.empty())
    throw misused("either --command or --url", "troupe org mcp add --help shows both");
  json one{{"name", o.name}};
  if (!o.url.empty()) {
    one["type"] = o.type;
    one["url"] = o.url;
    if (!o.headers.empty()) one["headers"] = named_values(o.headers, "--header");
  } else {
    one["command"] = o.command;
    if (!o.arguments.empty()) one["args"] = o.arguments;
    if (!o.environment.empty()) one["environment"] = named_values(o.environment, "--env");
  }
  auto all = without(servers(c), o.name);
  all.push_back(std::move(one));
  store(c, all, "set; tasks that are made from now on have it");
}

void list(context& c) {
  const auto all = servers(c);
  if (c.print_json(all)) return;
  if (all.empty()) return c.out.line("no MCP server yet: troupe org mcp add NAME --command PROGRAM");
  table t({"NAME", "WHAT"});
  for (const auto& one : all) {
    auto what = one.contains("url")
                    ? one.value("type", "") + " " + one.value("url", "")
                    : fmt::format("{} {}", one.value("command", ""),
                                  fmt::join(one.value("args", std::vector<std::string>()), " "));
    t.row({plain(one.value("name", "")), plain(what)});
  }
  c.out.write(t.text(c.out));
}

}  // namespace

void add_org_mcp(CLI::App& org, context& c) {
  auto o = std::make_shared<options>();
  auto* mcp = group(
      org, "mcp", "MCP servers that every session of the organization is given",
      "  troupe org mcp add tracker --command tracker-mcp --arg=--fast --env TOKEN=secret:tracker\n  troupe "
      "org mcp list\n");
  action(*mcp, "list", "what there is", "  troupe org mcp list\n", [&c] { list(c); });
  auto* added = action(
      *mcp, "add", "give one to the sessions of tasks that are made from now on",
      "  troupe org mcp add tracker --command tracker-mcp --arg=--fast --env TOKEN=secret:tracker\n"
      "  troupe org mcp add docs --url https://docs.example.org/mcp --header Authorization=secret:docs\n",
      [&c, o] { add(c, *o); });
  added->add_option("NAME", o->name, "what agents call it; takes the place of one of that name")->required();
  added->add_option("--command", o->command, "a program in the sandbox");
  added->add_option("--arg", o->arguments, "an argument of the program, as --arg=VALUE; repeatable");
  added->add_option("--env", o->environment, "NAME=VALUE or NAME=secret:SECRET for the program; repeatable");
  added->add_option("--url", o->url, "instead of a command: where it answers");
  added->add_option("--type", o->type, "how it is spoken to there")
      ->check(CLI::IsMember({"http", "sse"}))
      ->capture_default_str();
  added->add_option("--header", o->headers, "NAME=VALUE or NAME=secret:SECRET sent to the URL; repeatable");
  action(*mcp, "remove", "take one away", "  troupe org mcp remove tracker\n",
         [&c, o] {
           const auto all = servers(c);
           const auto kept = without(all, o->name);
           if (kept.size() == all.size())
             throw failure(fmt::format("there is no MCP server {}", o->name),
                           "troupe org mcp list shows them");
           store(c, kept, "removed");
         })
      ->add_option("NAME", o->name, "which")
      ->required();
}

}  // namespace troupe::cli
