#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <mutex>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/instance.h"
#include "cli/subcommand.h"

namespace troupe::cli {

namespace fs = std::filesystem;

namespace {

struct options {
  instance_options instance;
  std::vector<std::string> repository_roots;
  int ready = -1;
  bool quiet = false;
  bool keep_to_itself = false;
};

fs::path default_data() {
  if (const char* set = std::getenv("TROUPE_DATA"); set && *set) return set;
  return ".troupe";
}

/// One line to whoever started this program and waits for it.
void report_ready(int fd, const json& what) {
  if (fd < 0) return;
  const auto line = what.dump() + "\n";
  (void)!::write(fd, line.data(), line.size());
  ::close(fd);
}

bool answers(const server_file& server) {
  constexpr std::chrono::milliseconds patience{500};
  try {
    api({server.url, "", ""}, patience).get("/v1/health");
    return true;
  } catch (const failure&) {
    return false;
  }
}

/// Waits for SIGTERM or SIGINT; SIGHUP has the certificate read again. Every thread must have blocked them.
void wait_for_end(const sigset_t& awaited, instance& running) {
  for (int signal = 0; signal != SIGTERM && signal != SIGINT;) {
    if (::sigwait(&awaited, &signal) != 0) continue;
    if (signal == SIGHUP) running.reload_certificate();
  }
}

void serve(context& c, options o) {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  // Without a certificate it goes on ending the server when its terminal is closed.
  if (!o.instance.tls_cert.empty()) ::sigaddset(&ends, SIGHUP);
  // Before there are threads, so that all of them inherit it.
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  o.instance.data = c.data.empty() ? default_data() : fs::path(c.data);
  for (const auto& root : o.repository_roots) {
    std::error_code error;
    auto whole = fs::canonical(root, error);
    if (error)
      throw misused(fmt::format("--repo-root {}: {}", root, error.message()), "name a folder that is there");
    o.instance.repository_roots.push_back(std::move(whole));
  }
  std::mutex printing;
  o.instance.log = [&c, &printing, quiet = o.quiet](std::string_view area, std::string_view text) {
    if (quiet) return;
    std::lock_guard lock(printing);
    c.err.line(fmt::format("{}  {}  {}", local_time(now_ms()), area, plain(text)));
  };

  instance running(o.instance);
  const auto data = fs::absolute(o.instance.data).lexically_normal();
  std::vector<std::string> roots;
  for (const auto& root : o.instance.repository_roots) roots.push_back(root.string());
  const server_file left{running.url(), running.token(), static_cast<int>(::getpid()), data.string(), roots};
  left.write(data / server_file::name);
  const auto own = user_server_file();
  const auto first = server_file::read(own);
  // Commands go on finding a server that still serves.
  const bool second = first && first->pid != left.pid && first->alive() && answers(*first);
  if (!o.keep_to_itself && !own.empty() && !second) left.write(own);

  const auto link = running.sign_in_link();
  if (!c.print_json({{"url", running.public_url()},
                     {"data", data.string()},
                     {"tier", running.tier()},
                     {"link", link}}) &&
      !o.quiet) {
    c.out.line(fmt::format("{}  {}", c.out.paint(style::bold, "troupe"),
                           c.out.paint(style::cyan, running.public_url())));
    c.out.line(fmt::format("  data folder  {}", data.string()));
    c.out.line(fmt::format("  sandboxes    {}", running.tier()));
    if (!link.empty()) {
      c.out.line(fmt::format("  sign in      {}", c.out.paint(style::cyan, link)));
      c.out.line(c.out.paint(style::dim,
                             "               once, within ten minutes; `troupe access link` makes another"));
    }
    if (second && !o.keep_to_itself) {
      c.out.line(fmt::format("  found        commands find {} by themselves, this one with --data {}",
                             first->url, data.string()));
    }
    c.out.line("  next         troupe demo, or troupe org create NAME");
  }
  report_ready(
      o.ready,
      {{"url", running.url()}, {"token", running.token()}, {"link", link}, {"tier", running.tier()}});

  wait_for_end(ends, running);
  // A second signal means that the person does not want to wait.
  ::pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGINT, SIG_DFL);
  running.stop();
  std::error_code ignored;
  fs::remove(data / server_file::name, ignored);
  if (const auto file = server_file::read(own); file && file->pid == ::getpid()) fs::remove(own, ignored);
}

}  // namespace

void add_serve(CLI::App& app, context& c) {
  auto o = std::make_shared<options>();
  auto* serve_app = action(
      app, "serve", "serve a data folder until SIGTERM or Ctrl-C; sandboxes and agents live on without it",
      "  troupe serve\n  troupe serve --data /srv/troupe --port 8000\n  troupe serve --host 0.0.0.0 "
      "--allow-host "
      "troupe.example.org --tls-cert chain.pem --tls-key key.pem\n  troupe serve --repo-root "
      "~/projects\n",
      [&c, o] { serve(c, *o); });
  auto& i = o->instance;
  serve_app->add_option("--host", i.host, "address to listen on")->capture_default_str();
  serve_app->add_option("--port", i.port, "port to listen on; 0 takes any free one")->capture_default_str();
  serve_app->add_option("--repo-root", o->repository_roots,
                        "repositories by path are allowed below this folder; repeatable");
  serve_app->add_option("--allow-host", i.hosts, "another name that the server answers to; repeatable");
  serve_app->add_option("--allow-origin", i.allow_origins,
                        "an origin whose pages may use the API; repeatable");
  serve_app->add_option("--metrics-token", i.metrics_token, "a token that opens /metrics and nothing else");
  serve_app->add_option("--tls-cert", i.tls_cert,
                        "speak TLS with this certificate and its chain (PEM); read again at SIGHUP");
  serve_app->add_option("--tls-key", i.tls_key, "its key (PEM, mode 600)");
  serve_app->add_option(
      "--trusted-proxy", i.trusted_proxies,
      "a network whose X-Forwarded-For, -Proto and -Host are believed (10.0.0.0/8); repeatable");
  serve_app->add_flag("--secure-cookies", i.secure_cookies,
                      "cookies over TLS only, also where no trusted proxy says that it speaks it");
  serve_app->add_flag("--no-auth", i.no_auth,
                      "everybody is the owner; on loopback only, where no sandbox reaches it");
  serve_app->add_flag("--unsafe-no-isolation", i.unsafe_no_isolation,
                      "run agents without isolation where there is no other way");
  serve_app
      ->add_option("--durability", i.durability,
                   "full: what was acknowledged survives power loss; normal: a killed process")
      ->check(CLI::IsMember({"full", "normal"}))
      ->capture_default_str();
  serve_app->add_option("--max-running", i.max_running, "sessions that run at once (kept; 4 at first)")
      ->check(CLI::Range(1, 10'000));
  serve_app->add_option("--threads", i.threads, "threads of the actors")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  serve_app->add_option("--awake", i.awake, "actors in memory (default: by the descriptors that there are)");
  serve_app->add_option("--tools", i.tools,
                        "folder of installed agents (TROUPE_TOOLS; default ~/.local/share/troupe/tools)");
  serve_app->add_flag(
      "--allow-private-webhooks", i.allow_private_webhooks,
      "webhooks of organizations may go to addresses that only this machine reaches, and over http");
  serve_app->add_option("--forward", i.forwards,
                        "PORT=HOST:PORT: sandboxes reach HOST:PORT, a model's gateway say, at their own "
                        "127.0.0.1:PORT; repeatable");
  serve_app->add_option("--sandboxd", i.sandboxd, "the program sandboxd (default: found beside this one)");
  serve_app->add_option("--scripted-agent", i.scripted_agent,
                        "the program scripted-agent (default: found beside this one)");
  serve_app->add_flag("--quiet", o->quiet, "print nothing");
  serve_app->add_flag("--keep-to-itself", o->keep_to_itself,
                      "do not become the server that commands find by themselves");
  serve_app->add_option("--ready-fd", o->ready, "write one line of JSON there when serving")->group("");
}

}  // namespace troupe::cli
