#include "sandboxd/isolation/commands.h"

#include <stdio.h>

#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "sandboxd/isolation/init.h"
#include "sandboxd/isolation/probe.h"
#include "sandboxd/isolation/reap.h"

namespace troupe::sandboxd {
namespace {

void print(const nlohmann::json& value) {
  puts(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int run_reap(const std::string& file, bool files) {
  auto spec = read_spec(file);
  if (auto* wrong = std::get_if<std::string>(&spec)) {
    print({{"ok", false}, {"errno", EINVAL}, {"text", *wrong}});
    return 1;
  }
  auto result = reap(std::get<sandbox_spec>(spec), files);
  if (!result) {
    print({{"ok", false}, {"errno", result.error().number}, {"text", result.error().text}});
    return 1;
  }
  print({{"ok", true}, {"was_alive", result->was_alive}, {"was_there", result->was_there}});
  return 0;
}

}  // namespace

void add_isolation_commands(CLI::App& app, make_service service, int& exit_code) {
  {
    auto options = std::make_shared<supervise_options>();
    options->service = std::move(service);
    auto* command = app.add_subcommand("supervise", "Make the sandbox that a spec describes and serve it");
    command->add_option("--spec", options->spec_file, "The spec, a JSON file")->required();
    command->add_flag("--foreground", options->foreground, "Stay in this session: for debugging");
    command->add_flag("--unsafe-no-isolation", options->allow_no_isolation, "Accept a spec of the tier none");
    command->callback([options, &exit_code] { exit_code = run_supervise(*options); });
  }
  {
    auto control = std::make_shared<int>(-1);
    auto* command = app.add_subcommand("init", "PID 1 inside a sandbox; started by supervise");
    command->group("");
    command->add_option("--control", *control, "The descriptor of the supervisor's socket")->required();
    command->callback([control, &exit_code] { exit_code = run_init(*control); });
  }
  {
    struct probe_options {
      bool json = false;
      std::uint32_t uid = 199999;
    };
    auto options = std::make_shared<probe_options>();
    auto* command = app.add_subcommand("probe", "Try what this machine can enforce");
    command->add_flag("--json", options->json, "Print JSON");
    command->add_option("--uid", options->uid, "The uid of the throw-away sandbox, when run by root")
        ->check(CLI::Range(1u, 4294967294u));
    command->callback([options, &exit_code] {
      const auto report = probe_machine(options->uid);
      if (options->json)
        print(to_json(report));
      else
        fputs(to_table(report).c_str(), stdout);
      exit_code = report.chosen == tier::none ? 1 : 0;
    });
  }
  {
    struct reap_options {
      std::string spec;
      bool files = false;
    };
    auto options = std::make_shared<reap_options>();
    auto* command = app.add_subcommand("reap", "End the sandbox of a spec, whatever state it is in");
    command->add_option("--spec", options->spec, "The spec, a JSON file")->required();
    command->add_flag("--files", options->files, "Remove its files too");
    command->callback([options, &exit_code] { exit_code = run_reap(options->spec, options->files); });
  }
  {
    auto canary = std::make_shared<std::string>();
    auto* command = app.add_subcommand("inside-check", "What probe runs in its throw-away sandbox");
    command->group("");
    command->add_option("--canary", *canary, "A file of the host that must not be there")->required();
    command->callback([canary] { print(look_from_inside(*canary)); });
  }
}

}  // namespace troupe::sandboxd
