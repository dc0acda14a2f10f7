#include "cli/instance.h"

#include <arpa/inet.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <future>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include "actors/access/access.h"
#include "actors/access/directory_feed.h"
#include "actors/access/secret.h"
#include "actors/audit_log/audit_log.h"
#include "actors/audit_log/auditor.h"
#include "actors/capacity/capacity.h"
#include "actors/organization/organization.h"
#include "actors/roles.h"
#include "actors/sandbox/sandbox.h"
#include "actors/session/session.h"
#include "actors/task/task.h"
#include "cli/access_authenticator.h"
#include "cli/disk_watch.h"
#include "cli/failure.h"
#include "cli/kinds.h"
#include "cli/leftovers.h"
#include "cli/machine.h"
#include "cli/materialize.h"
#include "cli/place_of_server.h"
#include "cli/programs.h"
#include "cli/sign_in.h"
#include "cli/tools.h"
#include "cli/version.h"
#include "cli/world.h"
#include "net/gateway/gateway.h"
#include "runtime/host.h"
#include "runtime/inspect.h"

namespace troupe::cli {

namespace fs = std::filesystem;
namespace asio = wire::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto start_limit = 30s;
constexpr auto drain_limit = 5s;
constexpr unsigned network_threads = 4;
constexpr const char* first_user = "owner";
constexpr const char* token_file = "token.json";

bool loopback(const std::string& address) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (::inet_pton(AF_INET6, address.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return address == "localhost";
}

/// A folder that nobody else may look into: it holds secrets, repositories and what agents said.
void make_data_folder(const fs::path& data) {
  std::error_code error;
  if (fs::create_directories(data, error)) fs::permissions(data, fs::perms::owner_all, error);
  if (error) {
    throw failure(fmt::format("cannot make the data folder {}: {}", data.string(), error.message()),
                  "name another with --data, or make it writable");
  }
}

gateway::sealing_key key_of(const fs::path& data) {
  if (const char* hex = std::getenv("TROUPE_SECRETS_KEY"); hex && *hex)
    return gateway::sealing_key::from_hex(hex);
  return gateway::sealing_key::from_file(data / "secrets.key");
}

std::string url_of(const char* scheme, const std::string& address, std::uint16_t port) {
  return fmt::format("{}://{}:{}", scheme,
                     address.find(':') == std::string::npos ? address : "[" + address + "]", port);
}

std::vector<gateway::network> networks_of(const std::vector<std::string>& texts) {
  std::vector<gateway::network> out;
  for (const auto& text : texts) {
    const auto one = gateway::network::parse(text);
    if (!one) {
      throw misused(fmt::format("--trusted-proxy {} is not a network", text),
                    "for example --trusted-proxy 127.0.0.1 or --trusted-proxy 10.0.0.0/8");
    }
    out.push_back(*one);
  }
  return out;
}

std::vector<std::pair<std::uint16_t, drivers::host_port>> forwards_of(const std::vector<std::string>& texts) {
  std::vector<std::pair<std::uint16_t, drivers::host_port>> out;
  for (const auto& text : texts) {
    const auto equals = std::min(text.find('='), text.size());
    std::uint16_t port = 0;
    const auto read = std::from_chars(text.data(), text.data() + equals, port);
    const auto to = equals < text.size() ? drivers::parse_host_port(text.substr(equals + 1)) : std::nullopt;
    if (read.ptr != text.data() + equals || port == 0 || !to) {
      throw misused(fmt::format("--forward {} is not PORT=HOST:PORT", text),
                    "for example --forward 11434=127.0.0.1:11434");
    }
    out.emplace_back(port, *to);
  }
  return out;
}

/// What a start found wrong, in words of this program.
template <class F>
auto told(const fs::path& data, F make) {
  try {
    return make();
  } catch (const data_folder_in_use& why) {
    const auto other = server_file::read(data / server_file::name);
    throw failure(why.what(), other ? fmt::format("it is served at {}", other->url) : std::string());
  } catch (const storage::error& why) {
    if (why.kind() == storage::failure::newer_schema) {
      throw failure(
          why.what(),
          fmt::format("{} was written by a newer troupe: serve it with that one; nothing was changed",
                      data.string()));
    }
    throw failure(why.what(), "see docs/operations.md, When something is broken");
  } catch (const failure&) {
    throw;
  } catch (const std::exception& why) {
    throw failure(fmt::format("cannot serve {}: {}", data.string(), why.what()));
  }
}

/// The threads of the network and of drivers. The context outlives everything that was made on it.
class io_threads {
 public:
  explicit io_threads(unsigned count) : work_(asio::make_work_guard(io_)) {
    for (unsigned i = 0; i < count; ++i) {
      ended_.push_back(std::async(std::launch::async, [this] { io_.run(); }));
    }
  }
  ~io_threads() { drain(0s); }

  /// Lets what was begun come to its end, at most so long.
  void drain(std::chrono::seconds limit) {
    work_.reset();
    const auto until = std::chrono::steady_clock::now() + limit;
    for (auto& one : ended_) {
      if (one.valid() && one.wait_until(until) != std::future_status::ready) io_.stop();
    }
    for (auto& one : ended_) {
      if (one.valid()) one.get();
    }
  }
  asio::io_context& io() { return io_; }

 private:
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::future<void>> ended_;
};

}  // namespace

class instance::impl {
 public:
  explicit impl(instance_options o) : options_(std::move(o)) {
    if (options_.no_auth && !loopback(options_.host)) {
      throw misused(
          fmt::format("--no-auth on {}: everybody who reaches it could do everything", options_.host),
          "leave out --no-auth, or listen on 127.0.0.1");
    }
    if (options_.no_auth && !options_.trusted_proxies.empty()) {
      throw misused(
          "--no-auth with --trusted-proxy: everybody whom the proxy lets through could do everything",
          "leave out one of them");
    }
    if (const auto limit = raise_descriptors(); limit < least_descriptors) {
      throw failure(
          fmt::format("only {} descriptors may be open, and a server needs {}", limit, least_descriptors),
          check_descriptors().remedy);
    }
    load_certificate();
    make_data_folder(options_.data);
    options_.data = fs::canonical(options_.data);

    threads_ = std::make_unique<io_threads>(network_threads);
    secrets_ = told(options_.data, [&] {
      return gateway::open_secret_store(options_.data / "secrets", key_of(options_.data));
    });
    world_ = make_world(
        threads_->io().get_executor(),
        {.data = options_.data,
         .repository_roots = options_.repository_roots,
         .sandboxd = options_.sandboxd,
         .scripted_agent = options_.scripted_agent,
         .tools = tools_folder(options_.tools.string()),
         .forwards = forwards_of(options_.forwards),
         .unsafe_no_isolation = options_.unsafe_no_isolation,
         .allow_private_webhooks = options_.allow_private_webhooks,
         .secrets = [this](std::string_view org, std::string_view name) { return secrets_->read(org, name); },
         .secret_values = [this](std::string_view org) { return secrets_->values(org); },
         .log = options_.log});
    make_host();
    make_people();
    make_gateway();
    pruned_ = std::async(std::launch::async, [this] { prune(); });
    disk_ = std::make_unique<disk_watch>(threads_->io().get_executor(), *host_, options_.data, options_.log);
  }

  ~impl() { stop(); }

  void stop() {
    if (stopped_.exchange(true)) return;
    disk_.reset();
    if (pruned_.valid()) pruned_.wait();  // it looks into the host's files
    if (gateway_) {
      auto closed = asio::co_spawn(threads_->io(), gateway_->stop(drain_limit), asio::use_future);
      closed.wait_for(drain_limit * 2);
    }
    people_feed_.reset();
    if (host_) host_->stop();
    if (world_) world_->stop();
    if (threads_) threads_->drain(drain_limit);
  }

  /// A command of the program itself, awaited. Throws failure with its problem.
  json command(const char* to, const char* name, json body, std::string id, bool create = false) {
    std::promise<reply> answered;
    auto answer = answered.get_future();
    host_->command_as_host(
        key(to), name, std::move(body), std::move(id), [&](reply r) { answered.set_value(std::move(r)); },
        create);
    // The host answers every command, at the latest when it stops; the promise outlives that.
    auto r = answer.get();
    if (!r.ok() && r.error().code == "newer_version") {
      throw failure(r.error().detail, fmt::format("{} was written by a newer troupe: serve it with that one",
                                                  options_.data.string()));
    }
    if (!r.ok()) throw failure(fmt::format("{} at {}: {}", name, to, r.error().detail));
    return r.result();
  }

  std::string make_link() {
    if (options_.no_auth) return {};
    const auto word = actors::make_secret("link");
    const auto hash = actors::hash_of_secret(word);
    command("access", "access.create_link", {{"user", first_user}, {"hash", hash}}, "link " + hash);
    return sign_in_url(public_url_, word);
  }

  void reload_certificate() {
    if (!certificate_ || !options_.log) return;
    const auto wrong = certificate_->reload();
    options_.log("tls",
                 wrong ? wrong->text + "; the one before stays in use" : "the certificate was read again");
  }

  instance_options options_;
  std::string url_, public_url_, token_;
  std::shared_ptr<wire::certificate> certificate_;
  bool fresh_ = false;

  const std::string& tier() const { return world_->tier(); }

 private:
  /// What a crash in the middle of making or ending a sandbox left in the world. Nothing waits for it.
  void prune() {
    const inspector rows(*host_);
    const auto known =
        known_by([&](const std::string& sandbox, const std::string& sql) -> std::optional<nlohmann::json> {
          const auto k = key::parse(sandbox);
          if (k && !host_->exists(*k)) return std::nullopt;
          auto found = k ? rows.query(*k, sql) : inspector::result(not_found("no key: " + sandbox));
          if (const auto* why = std::get_if<problem>(&found)) throw failure(why->detail);
          return std::get<nlohmann::json>(std::move(found));
        });
    try {
      const auto done = drivers::prune(
          {.sandboxd = find_sandboxd(options_.sandboxd).string(), .data = options_.data}, known);
      if (!options_.log) return;
      if (!done) return options_.log("sandboxes", done.error().why.detail);
      for (const auto& one : done->found)
        options_.log("sandboxes", "removed a leftover: " + leftover_line(one));
      for (const auto& one : done->failed)
        options_.log("sandboxes", "a leftover stays: " + leftover_line(one) + ": " + one.value("text", ""));
    } catch (const failure& why) {
      if (options_.log)
        options_.log("sandboxes", fmt::format("leftovers were not looked for: {}", why.what()));
    }
  }

  void make_host() {
    host_options h;
    h.data = options_.data;
    h.kinds = kinds_of_troupe();
    h.effects = world_->effects();
    h.feeds = world_->feeds();
    h.audit = actors::make_auditor();
    if (!options_.no_auth) h.authorize = actors::make_authorizer(known_);
    h.sync = options_.durability == "normal" ? storage::durability::normal : storage::durability::full;
    h.limits.awake = options_.awake;
    scheduler_ = make_caf_scheduler({.threads = options_.threads});
    h.threads = scheduler_.get();
    h.log = options_.log;
    host_ = told(options_.data, [&] { return std::make_unique<host>(std::move(h)); });
    host_->start();
    fresh_ = command("access", "access.initialize", {{"user", first_user}}, "initialize", true)
                 .value("created", false);
    json limits = json::object();
    if (options_.max_running > 0) limits["max_running"] = options_.max_running;
    command("capacity", "capacity.initialize", limits, "initialize " + limits.dump(), true);
    if (options_.max_running > 0) {
      command("capacity", "capacity.set_limits", limits,
              fmt::format("max running {}", random_ids().next(system_clock().now())));
    }
  }

  void make_people() {
    people_feed_ = std::make_unique<actors::directory_feed>(*host_, known_);
    if (!people_feed_->await_loaded(start_limit)) {
      throw failure("the users could not be read",
                    "look at DATA/access with `troupe inspect`, see docs/operations.md");
    }
    if (options_.no_auth) {
      people_ = gateway::no_authentication(first_user);
      return;
    }
    people_ = std::make_unique<access_authenticator>(*host_, known_);
    // Kept apart from server.json, which goes when the server stops: each start would make one more token
    // else.
    const auto kept = options_.data / token_file;
    const auto before = server_file::read(kept);
    if (before && known_.by_token(before->token)) {
      token_ = before->token;
      return;
    }
    token_ = actors::make_secret("trp");
    const auto hash = actors::hash_of_secret(token_);
    command("access", "access.create_token",
            {{"user", first_user}, {"hash", hash}, {"label", "commands on this machine"}}, "token " + hash);
    server_file{.url = {}, .token = token_, .pid = 0, .data = options_.data.string()}.write(kept);
    // Whoever is told that this serves may use the token at once.
    const auto until = std::chrono::steady_clock::now() + start_limit;
    while (!known_.by_token(token_) && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(1ms);
  }

  void make_gateway() {
    gateway::gateway_options g;
    g.version = version;
    g.hosts = options_.hosts;
    g.allow_origins = options_.allow_origins;
    g.metrics_token = options_.metrics_token;
    g.secure_cookies = options_.secure_cookies;
    g.trusted_proxies = networks_of(options_.trusted_proxies);
    g.secrets = secrets_.get();
    g.backup_also = backed_up_beside_actors();
    g.materialize = make_materializer(threads_->io().get_executor(), *host_);
    g.audit_look = make_look_auditor(*host_);
    g.sandboxes = [this](const std::string& handle) -> std::optional<gateway::sandbox_daemon> {
      auto found = world_->find_daemon(handle);
      if (!found) return std::nullopt;
      return gateway::sandbox_daemon{std::move(found->at), std::move(found->token),
                                     std::move(found->workspace)};
    };
    g.log = options_.log;
    gateway_ =
        std::make_unique<gateway::gateway>(threads_->io().get_executor(), *host_, *people_, std::move(g));
    const auto listen = [&](const std::string& address, std::uint16_t port,
                            std::shared_ptr<wire::certificate> proof) {
      auto bound = gateway_->listen(address, port, std::move(proof));
      if (!bound) {
        throw failure(
            bound.error().text,
            "another server may run there (troupe doctor says): stop it, or take another with --port");
      }
      return *bound;
    };
    const auto bound = listen(options_.host, options_.port, certificate_);
    public_url_ = url_ = url_of("http", bound.host, bound.port);
    if (certificate_) {
      public_url_ = url_of("https", options_.hosts.empty() ? bound.host : options_.hosts.front(), bound.port);
      // The certificate names the server as people call it, which is not how this machine does.
      const auto inside = listen("127.0.0.1", 0, {});
      url_ = url_of("http", inside.host, inside.port);
    } else if (!loopback(options_.host) && options_.trusted_proxies.empty() && options_.log) {
      options_.log(
          "http",
          fmt::format("{} is reached without TLS: tokens and cookies pass readable by everybody on the "
                      "way; give --tls-cert and --tls-key, or --trusted-proxy for one that speaks TLS",
                      public_url_));
    }
  }

  void load_certificate() {
    if (options_.tls_cert.empty() != options_.tls_key.empty())
      throw misused("--tls-cert and --tls-key go together", "give both, as PEM files");
    if (options_.tls_cert.empty()) return;
    auto loaded = wire::certificate::load(options_.tls_cert, options_.tls_key);
    if (!loaded) throw failure(loaded.error().text);
    certificate_ = *loaded;
  }

  // In this order, so that each is destroyed before what it stands on.
  std::atomic<bool> stopped_ = false;
  std::unique_ptr<io_threads> threads_;
  std::unique_ptr<gateway::secret_store> secrets_;
  std::unique_ptr<world> world_;
  std::unique_ptr<scheduler> scheduler_;
  actors::directory known_{system_clock()};
  std::unique_ptr<host> host_;
  std::unique_ptr<actors::directory_feed> people_feed_;
  std::unique_ptr<gateway::authenticator> people_;
  std::unique_ptr<gateway::gateway> gateway_;
  std::unique_ptr<disk_watch> disk_;
  std::future<void> pruned_;
};

instance::instance(instance_options o) : impl_(std::make_unique<impl>(std::move(o))) {}
instance::~instance() = default;
const std::string& instance::url() const {
  return impl_->url_;
}
const std::string& instance::public_url() const {
  return impl_->public_url_;
}
void instance::reload_certificate() {
  impl_->reload_certificate();
}
bool instance::fresh() const {
  return impl_->fresh_;
}
const std::string& instance::token() const {
  return impl_->token_;
}
const std::string& instance::tier() const {
  return impl_->tier();
}
std::string instance::sign_in_link() {
  return impl_->make_link();
}
void instance::stop() {
  impl_->stop();
}

}  // namespace troupe::cli
