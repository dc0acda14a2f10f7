#include "sandboxd/serve.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>

#include "net/wire/server.h"
#include "sandboxd/api.h"
#include "sandboxd/direct_place.h"

extern char** environ;

namespace troupe::sandboxd {
namespace {

namespace asio = wire::asio;

// What requests in flight get when the daemon is told to end; agents have had their own graces before.
constexpr auto stop_limit = std::chrono::seconds(2);

// Never handed down to what is spawned.
constexpr const char* token_variable = "SANDBOXD_TOKEN";

struct serve_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 2468;
  std::string socket;
  std::vector<std::uint32_t> uids;
  std::string token;
  std::string token_file;
  bool no_token = false;
  std::string root = "/";
  std::string state;
  std::string scripted;
  std::vector<std::string> agents;  // NAME=COMMAND …
  std::vector<std::string> tools;
  std::uint64_t spool_bytes = 64 << 20;
  std::uint64_t request_timeout_ms = 0;
  cors_options cors;
};

int fail(const std::string& why) {
  std::fprintf(stderr, "sandboxd: %s\n", why.c_str());
  return 1;
}

std::string in_words(const os_error& e) {
  return "cannot " + e.text + ": " + std::strerror(e.number);
}

std::string default_state() {
  if (auto* state = ::getenv("XDG_STATE_HOME"); state && *state) return std::string(state) + "/sandboxd";
  if (auto* home = ::getenv("HOME"); home && *home) return std::string(home) + "/.local/state/sandboxd";
  return "/tmp/sandboxd-" + std::to_string(::geteuid());
}

// With its parents; the last is the daemon's alone, which the api sees to.
void make_parents(const std::string& path) {
  for (auto at = path.find('/', 1); at != path.npos; at = path.find('/', at + 1))
    ::mkdir(path.substr(0, at).c_str(), 0755);
}

std::string beside_this_program(const char* name) {
  char self[4096];
  auto n = ::readlink("/proc/self/exe", self, sizeof self);
  if (n <= 0 || n == static_cast<ssize_t>(sizeof self)) return {};
  std::string path(self, static_cast<std::size_t>(n));
  path = path.substr(0, path.rfind('/') + 1) + name;
  return ::access(path.c_str(), X_OK) == 0 ? path : std::string();
}

// "gemini=/opt/gemini --acp": the command line of an agent, known or new.
bool set_agent(std::vector<agent>& all, const std::string& setting) {
  auto equals = setting.find('=');
  if (equals == 0 || equals == setting.npos) return false;
  auto id = setting.substr(0, equals);
  std::istringstream words(setting.substr(equals + 1));
  std::vector<std::string> line;
  for (std::string word; words >> word;) line.push_back(word);
  if (line.empty()) return false;
  agent* which = nullptr;
  for (auto& a : all)
    if (a.id == id) which = &a;
  if (!which) {
    agent fresh;
    fresh.id = fresh.name = id;
    all.push_back(std::move(fresh));
    which = &all.back();
  }
  which->built_in = false;
  which->packages.clear();
  which->package_programs.clear();
  which->programs = {line.front()};
  which->arguments.assign(line.begin() + 1, line.end());
  return true;
}

std::optional<std::string> read_token(const serve_options& o, std::string& fault) {
  std::string token = o.token;
  if (!o.token_file.empty()) {
    std::ifstream file(o.token_file);
    if (!std::getline(file, token)) fault = "cannot read the token from " + o.token_file;
  } else if (token.empty()) {
    if (auto* given = ::getenv(token_variable)) token = given;
  }
  if (token.empty()) return std::nullopt;
  return token;
}

int serve(const serve_options& o) {
  ::signal(SIGPIPE, SIG_IGN);
  // What runs here has our uid: it shall not read our memory or descriptors through /proc.
  ::prctl(PR_SET_DUMPABLE, 0);

  std::string fault;
  auto token = read_token(o, fault);
  if (!fault.empty()) return fail(fault);
  bool loopback = o.host == "127.0.0.1" || o.host == "::1" || o.host == "localhost";
  if (!token && !o.no_token && o.socket.empty() && !loopback)
    return fail("refusing to serve " + o.host +
                " to everybody: give a token with --token-file FILE, or say --no-token if that is meant");

  api_options options;
  options.access.token = token;
  options.access.everybody = !token && o.socket.empty();
  options.access.uids = o.uids;
  if (!o.socket.empty() && o.uids.empty()) options.access.uids.push_back(::geteuid());
  options.cors = o.cors;
  options.tools = o.tools;
  options.agents = known_agents(o.scripted.empty() ? beside_this_program("scripted-agent") : o.scripted);
  for (auto& setting : o.agents)
    if (!set_agent(options.agents, setting))
      return fail("--agent wants NAME=COMMAND, for example gemini=/opt/gemini --acp; it got " + setting);
  options.connections.spool.capacity_bytes = o.spool_bytes;
  options.connections.request_limit = std::chrono::milliseconds(o.request_timeout_ms);

  direct_place_options there;
  there.root = o.root;
  for (char** v = environ; *v; ++v) {
    std::string variable = *v;
    auto equals = variable.find('=');
    if (equals == variable.npos || variable.substr(0, equals) == token_variable) continue;
    there.environment.emplace_back(variable.substr(0, equals), variable.substr(equals + 1));
  }

  asio::io_context io(1);
  auto where = direct_place::make(io.get_executor(), std::move(there));
  if (!where) return fail(in_words(where.error()));
  auto state = o.state.empty() ? default_state() : o.state;
  make_parents(state);
  auto made = api::make(io.get_executor(), *where.value(), state, std::move(options));
  if (!made) return fail(in_words(made.error()));

  auto limits = server_options_for_api();
  limits.on_fault = [](std::string_view at, std::string_view what) {
    std::fprintf(stderr, "sandboxd: %.*s: %.*s\n", static_cast<int>(at.size()), at.data(),
                 static_cast<int>(what.size()), what.data());
  };
  wire::server server(io.get_executor(), made.value()->service(), limits);
  if (o.socket.empty()) {
    auto bound = server.listen(o.host, o.port);
    if (!bound) return fail(bound.error().text);
    std::printf("sandboxd serves http://%s:%u\n", bound->host.c_str(), bound->port);
  } else {
    auto bound = server.listen_unix(o.socket, 0600);
    if (!bound) return fail(bound.error().text);
    std::printf("sandboxd serves unix:%s\n", o.socket.c_str());
  }
  std::fflush(stdout);

  asio::signal_set told_to_end(io, SIGTERM, SIGINT);
  told_to_end.async_wait([&](boost::system::error_code ec, int) {
    if (ec) return;
    // A second signal ends it at once.
    told_to_end.async_wait([&](boost::system::error_code again, int) {
      if (!again) io.stop();
    });
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          co_await made.value()->stop();
          co_await server.stop(stop_limit);
          io.stop();
        },
        asio::detached);
  });
  io.run();
  where.value()->kill_everything();
  return 0;
}

}  // namespace

void add_serve_command(CLI::App& app, int& exit_code) {
  auto o = std::make_shared<serve_options>();
  auto* c = app.add_subcommand("serve", "Serve processes, files and agents of this machine over HTTP");
  c->alias("server");
  c->add_option("-H,--host", o->host, "The address to listen on")->capture_default_str();
  c->add_option("-p,--port", o->port, "The port; 0 takes any free one")->capture_default_str();
  c->add_option("--unix", o->socket, "Listen on this unix socket instead");
  c->add_option("--peer-uid", o->uids, "Who may use the unix socket (default: the daemon's own uid)");
  c->add_option("-t,--token", o->token,
                "The bearer token (visible to other users of the machine: prefer --token-file)");
  c->add_option("--token-file", o->token_file, "A file whose first line is the bearer token");
  c->add_flag("-n,--no-token", o->no_token, "Serve everybody who reaches the address");
  c->add_option("--root", o->root, "Confine files to this folder")->capture_default_str();
  c->add_option("--state", o->state, "Where spools and keys are kept (default: below XDG_STATE_HOME)");
  c->add_option("--agent", o->agents, "NAME=COMMAND …: another program that speaks ACP");
  c->add_option("--scripted-agent", o->scripted, "The program of the agent `scripted`");
  c->add_option("--tools", o->tools, "A folder with npm packages of agents");
  c->add_option("--spool-bytes", o->spool_bytes, "What is kept of each agent until it is acknowledged")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t(4096), std::uint64_t(1) << 40));
  c->add_option("--acp-request-timeout-ms", o->request_timeout_ms, "Limit of requests to agents; 0: none")
      ->envname("SANDBOX_AGENT_ACP_REQUEST_TIMEOUT_MS");
  c->add_option("-O,--cors-allow-origin", o->cors.origins, "An origin whose pages may call");
  c->add_option("-M,--cors-allow-method", o->cors.methods, "A method that such pages may use (default: any)");
  c->add_option("-A,--cors-allow-header", o->cors.headers,
                "A header that such pages may send (default: any)");
  c->add_flag("-C,--cors-allow-credentials", o->cors.credentials, "Let such pages send credentials");
  c->callback([o, &exit_code] { exit_code = serve(*o); });
}

}  // namespace troupe::sandboxd
