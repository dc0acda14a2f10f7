// sandboxd: the daemon of a sandbox. Each subcommand registers itself and leaves its exit code.
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include <CLI/CLI.hpp>

#include "sandboxd/api.h"
#include "sandboxd/isolation/commands.h"
#include "sandboxd/isolation/spec.h"
#include "sandboxd/serve.h"

namespace {

using namespace troupe;

// The API that `supervise` serves. Only its own user may call: the socket is outside of the sandbox, and so
// is that uid.
wire::service service_of_sandbox(wire::executor ex, sandboxd::place& where,
                                 const std::filesystem::path& state) {
  sandboxd::api_options options;
  options.access.uids.push_back(::geteuid());
  options.tools = {sandboxd::inside::tools};
  options.agents = sandboxd::known_agents(std::string(sandboxd::inside::programs) + "/scripted-agent");
  auto made = sandboxd::api::make(ex, where, state.string(), std::move(options));
  if (!made)
    throw std::runtime_error("cannot " + made.error().text + ": " + std::strerror(made.error().number));
  auto service = made.value()->service();
  // The api lives as long as its service.
  service.handle = [api = std::shared_ptr<sandboxd::api>(std::move(made).value()),
                    handle = std::move(service.handle)](wire::exchange& x) { return handle(x); };
  return service;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The daemon of a sandbox: processes, terminals, files and agents over HTTP", "sandboxd");
  app.require_subcommand(1);
  int exit_code = 0;
  sandboxd::add_serve_command(app, exit_code);
  sandboxd::add_isolation_commands(app, service_of_sandbox, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    auto wrong = app.exit(e);
    return wrong == 0 ? 0 : 2;
  }
  return exit_code;
}
