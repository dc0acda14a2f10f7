// What one local sandbox is to be: the words that the server's provider and `sandboxd supervise` exchange as
// JSON.
//
// Written by the provider before anything is done (it is the intent from which a crash is cleaned up), read
// by `supervise` and `reap`. Values only; any thread may use its own copy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace troupe::sandboxd {

enum class tier : std::uint8_t {
  none,                // a process group and rlimits; only when asked for by name
  landlock,            // reserved: nothing offers it yet
  namespaces,          // user namespaces with the server's own uid
  namespaces_and_uid,  // and a host uid per sandbox; needs root
};

std::string_view to_text(tier value);  // "none", "landlock", "namespaces", "namespaces+uid"
std::optional<tier> tier_from_text(std::string_view text);

enum class network_mode : std::uint8_t { none, proxy };

// Inside, 127.0.0.1:`port` is passed to the unix socket `socket` in the network folder.
struct forward_spec {
  std::uint16_t port = 0;
  std::string socket;  // a file name, no slash
};

struct mount_spec {
  std::filesystem::path from;  // on the host, absolute
  std::string to;              // inside, absolute, outside of what the sandbox has already
  bool writable = false;
};

struct limits_spec {
  std::uint64_t memory_bytes = 0;  // 0: no limit
  std::uint64_t disk_bytes = 0;    // largest file and, as a goal, the whole of work and home; 0: no limit
  std::uint32_t pids = 0;          // 0: no limit
  double cpus = 0;                 // 0: no limit
};

struct sandbox_spec {
  std::string key;  // the actor's key, for people
  std::string
      nonce;  // 16 to 64 of [a-z0-9]; names this life of the sandbox, its cgroups and its throw-away files
  std::filesystem::path
      folder;  // DATA/<key>: holds work/, home/, run/ and net/; other files in it are not ours
  std::filesystem::path socket;  // where the daemon answers; at most 107 bytes
  tier level = tier::namespaces;
  std::uint32_t uid = 0;  // namespaces+uid: never 0
  std::uint32_t gid = 0;

  network_mode network = network_mode::none;
  std::vector<forward_spec> forwards;
  std::uint16_t proxy_port = 3128;  // inside, on 127.0.0.1

  limits_spec limits;
  bool allow_ptrace = false;
  std::vector<mount_spec> mounts;
  std::vector<std::pair<std::filesystem::path, std::string>>
      programs;                                // host file → its name in /opt/troupe/bin
  std::optional<std::filesystem::path> tools;  // of the host, seen inside as /opt/troupe/tools
  std::optional<std::filesystem::path>
      overlay_base;  // /workspace is an overlay over it; its changes lie in work/
  std::vector<std::pair<std::string, std::string>> environment;  // wins over what is built

  std::filesystem::path work() const { return folder / "work"; }
  std::filesystem::path home() const { return folder / "home"; }
  std::filesystem::path run() const { return folder / "run"; }  // the supervisor's: intent, record, spool
  std::filesystem::path net() const { return folder / "net"; }  // proxy.sock and forwards, made by the server
};

// Where things are inside.
namespace inside {
inline constexpr const char* workspace = "/workspace";
inline constexpr const char* home = "/home/agent";
inline constexpr const char* programs = "/opt/troupe/bin";
inline constexpr const char* tools = "/opt/troupe/tools";
inline constexpr const char* network = "/run/troupe/net";
inline constexpr std::uint32_t uid = 1000;
}  // namespace inside

inline constexpr std::size_t spec_bytes = 256 * 1024;  // a spec file beyond it is refused
inline constexpr std::size_t socket_path_bytes = 107;

nlohmann::json to_json(const sandbox_spec& spec);
// The spec, or what is wrong with it: "/limits/memory: must be a number of bytes".
std::variant<sandbox_spec, std::string> spec_from_json(const nlohmann::json& text);
std::variant<sandbox_spec, std::string> read_spec(const std::filesystem::path& file);

}  // namespace troupe::sandboxd
