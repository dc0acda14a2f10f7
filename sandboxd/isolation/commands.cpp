#include "sandboxd/isolation/commands.h"

#include <stdio.h>
#include <string.h>

#include <fstream>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "sandboxd/isolation/init.h"
#include "sandboxd/isolation/leftovers.h"
#include "sandboxd/isolation/probe.h"
#include "sandboxd/isolation/reap.h"

namespace troupe::sandboxd {
namespace {

constexpr std::size_t listed_traces = 2000;  // so that the answer stays under 1 MiB

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

int remove_traces(const std::string& file) {
  std::ifstream in(file);
  const auto list = nlohmann::json::parse(in, nullptr, false);
  if (!list.is_array()) {
    print({{"ok", false}, {"errno", EINVAL}, {"text", file + " is no JSON list"}});
    return 1;
  }
  auto removed = nlohmann::json::array(), failed = nlohmann::json::array();
  for (auto one : list) {
    if (auto gone = remove_trace(trace_from_json(one)); gone) {
      removed.push_back(std::move(one));
    } else {
      one["text"] = gone.error().text + ": " + strerrordesc_np(gone.error().number);
      failed.push_back(std::move(one));
    }
  }
  print({{"ok", true}, {"removed", std::move(removed)}, {"failed", std::move(failed)}});
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
    struct leftover_options {
      std::string data, remove;
    };
    auto options = std::make_shared<leftover_options>();
    auto* command = app.add_subcommand("leftovers", "What sandboxes have in the world");
    command->add_option("--data", options->data, "The data folder whose sandboxes")
        ->check(CLI::ExistingDirectory);
    command->add_option("--remove", options->remove, "Remove those of this JSON list instead");
    command->require_option(1);
    command->callback([options, &exit_code] {
      if (!options->remove.empty()) {
        exit_code = remove_traces(options->remove);
        return;
      }
      auto found = nlohmann::json::array();
      for (const auto& one : find_traces(options->data))
        if (found.size() < listed_traces) found.push_back(to_json(one));
      print({{"ok", true}, {"more", found.size() == listed_traces}, {"found", std::move(found)}});
    });
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
