// One running server: the only place that knows host, actors, drivers and gateway alike. Built, run and
// stopped by `troupe serve`.
//
// Order of life, first to last: data folder and its lock, network threads, drivers, host, directory of users,
// gateway. Stopped the other way round, so that nothing is asked of what is gone already.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::cli {

struct instance_options {
  std::filesystem::path data;
  std::string host = "127.0.0.1";
  std::uint16_t port = 7741;  ///< 0: any free one
  /// Repositories by path or file: URL must lie below one of these.
  std::vector<std::filesystem::path> repository_roots = {};
  std::vector<std::string> hosts = {};
  std::vector<std::string> allow_origins = {};
  std::string metrics_token = {};
  bool secure_cookies = false;
  std::vector<std::string> trusted_proxies = {};  ///< networks, "10.0.0.0/8"
  /// PEM files; with both, `host` and `port` speak TLS, and commands of this machine use a port of loopback.
  std::string tls_cert = {}, tls_key = {};
  /// Everybody is the owner; on loopback only.
  bool no_auth = false;
  bool unsafe_no_isolation = false;
  bool allow_private_webhooks = false;
  /// "full": an acknowledged command survives power loss; "normal": a killed process.
  std::string durability = "full";
  unsigned threads = 16;      ///< of the actors
  std::size_t awake = 0;      ///< actors in memory; 0: as many as descriptors allow
  int max_running = 0;        ///< sessions at once; 0: what is stored
  std::string sandboxd = {};  ///< programs; empty: found beside this one
  std::string scripted_agent = {};
  std::filesystem::path tools = {};  ///< installed agents; empty: see tools.h
  /// "PORT=HOST:PORT": every sandbox reaches the second at its own 127.0.0.1:PORT.
  std::vector<std::string> forwards = {};
  /// Any thread.
  std::function<void(std::string_view area, std::string_view text)> log = {};
};

class instance {
 public:
  /// Serves when it returns. Throws failure: data folder in use, of a newer version or not writable; address
  /// in use; too few descriptors; --no-auth on an address that others reach; no way to isolate agents.
  explicit instance(instance_options);
  /// stop()
  ~instance();
  instance(const instance&) = delete;
  instance& operator=(const instance&) = delete;

  /// http://127.0.0.1:7741: where commands of this machine find it.
  const std::string& url() const;
  /// Where people find it: the same, or with TLS https://HOST:7741.
  const std::string& public_url() const;
  /// Whether this start made the data folder.
  bool fresh() const;
  /// For commands of the user who runs this: stored in the data folder, made when it is gone or revoked.
  /// Empty with
  /// --no-auth.
  const std::string& token() const;
  /// Of the sandboxes that are made here: namespaces+uid, namespaces, landlock or none.
  const std::string& tier() const;
  /// Reads the certificate and its key again; what is wrong with them is logged, and the old ones stay.
  void reload_certificate();
  /// A new single-use link for the first user; empty with --no-auth.
  std::string sign_in_link();

  /// Lets what runs finish its turn, closes everything; sandboxes and agents live on. Idempotent, any thread.
  void stop();

 private:
  class impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace troupe::cli
