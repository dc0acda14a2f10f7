// The `troupe` command: 0 done, 1 failed, 2 usage. What a person asked for goes to standard output,
// everything else to standard error.
#include <signal.h>

#include <iostream>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/subcommand.h"
#include "cli/version.h"

namespace troupe::cli {

namespace {

int report(context& c, const failure& why) {
  if (c.as_json) {
    json line{{"error", why.problem().is_null() ? json{{"detail", why.what()}} : why.problem()}};
    if (!why.hint().empty()) line["error"]["hint"] = why.hint();
    c.err.line(line.dump(-1, ' ', false, json::error_handler_t::replace));
  } else {
    c.err.line(fmt::format("{} {}", c.err.paint(style::red, "error:"), why.what()));
    if (!why.hint().empty())
      c.err.line(fmt::format("{} {}", c.err.paint(style::dim, " what to do:"), why.hint()));
  }
  return why.exit_code();
}

/// What is wrong with the line, and where it says what would be right.
int misuse(context& c, const CLI::App& app, const CLI::ParseError& wrong) {
  const auto* reached = &app;
  std::string words = "troupe";
  for (auto below = app.get_subcommands(); !below.empty(); below = reached->get_subcommands()) {
    reached = below.back();
    words += " " + reached->get_name();
  }
  if (c.as_json) return report(c, misused(wrong.what(), words + " --help"));
  const bool unfinished = !reached->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (unfinished) c.err.write(reached->help(words == "troupe" ? "" : words.substr(0, words.rfind(' '))));
  c.err.line(fmt::format("{} {}", c.err.paint(style::red, "error:"), wrong.what()));
  if (!unfinished) c.err.line(fmt::format("{} {} --help", c.err.paint(style::dim, " what to do:"), words));
  return exit_usage;
}

int run(int argc, char** argv) {
  context c;
  CLI::App app{"Troupe: coding agents work on tasks in sandboxes, on durable actors", "troupe"};
  app.set_version_flag("--version", std::string("troupe ") + version);
  app.add_flag("--json", c.as_json, "print JSON: one document, or one line for each thing that is followed");
  app.add_option("--server", c.server_url,
                 "address of the server (TROUPE_SERVER; default: the one that serves here)");
  app.add_option("--token", c.token, "what to sign in with (TROUPE_TOKEN)");
  app.add_option("--data", c.data, "data folder of the server that is meant, or that serve serves");
  app.add_option("--org", c.organization, "organization (TROUPE_ORG; default: the only one)");
  app.require_subcommand(1)->fallthrough();
  app.footer(
      "\nstart here:\n  troupe demo                   watch an agent do a task, in five seconds\n"
      "  troupe serve                  serve a data folder\n  troupe task new --help        have something "
      "done\n\n"
      "Each command has --help with examples. Exit codes: 0 done, 1 failed, 2 usage.");
  add_demo(app, c);
  add_serve(app, c);
  add_org(app, c);
  add_access(app, c);
  add_repo(app, c);
  add_task(app, c);
  add_session(app, c);
  add_sandbox(app, c);
  add_secret(app, c);
  add_audit(app, c);
  add_inspect(app, c);
  add_agent(app, c);
  add_backup(app, c);
  add_doctor(app, c);
  add_completion(app, c);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& wrong) {
    return misuse(c, app, wrong);
  } catch (const failure& why) {
    return report(c, why);
  } catch (const json::exception& odd) {
    return report(c, failure(fmt::format("the server answered with something unexpected: {}", odd.what()),
                             "do this program and the server have the same version? troupe --version"));
  } catch (const std::exception& why) {
    return report(c, failure(why.what()));
  }
  return exit_done;
}

}  // namespace

}  // namespace troupe::cli

int main(int argc, char** argv) {
  // A reader that has seen enough (`troupe … | head`) ends this program like any other.
  ::signal(SIGPIPE, SIG_DFL);
  return troupe::cli::run(argc, argv);
}
