#include "sandboxd/isolation/bwrap.h"

#include <algorithm>
#include <array>

namespace troupe::sandboxd {
namespace {

// Mounting over these from the outside would undo what the sandbox is made of.
constexpr std::array reserved = {"/",       "/usr", "/bin",  "/sbin", "/lib", "/lib32",      "/lib64",
                                 "/libx32", "/etc", "/proc", "/dev",  "/run", "/opt/troupe", "/tmp"};

bool is_reserved(const std::string& to) {
  for (const std::string_view item : reserved) {
    if (to == item) return true;
    // Below /tmp and /run own mounts are fine; below the others they would shadow the system's files.
    if (item != "/" && item != "/tmp" && item != "/run" && to.starts_with(item) && to[item.size()] == '/')
      return true;
  }
  return to.empty() || to[0] != '/' || to == inside::workspace || to == inside::home ||
         to.starts_with(std::string(inside::network));
}

}  // namespace

std::variant<std::vector<std::string>, std::string> bwrap_arguments(const bwrap_plan& plan) {
  if (plan.host_uid == 0 || plan.host_gid == 0)
    return "a sandbox with the uid or the gid of root is none: bubblewrap run as root can remount and read "
           "what is "
           "root's; give each sandbox an own uid (tier namespaces+uid) or run the server as another user";
  if (plan.seccomp_fd < 0) return "a sandbox without a system call filter is refused";
  if (plan.command.empty() || plan.workspace.empty() || plan.home.empty())
    return "a sandbox needs a command, a workspace and a home";
  for (const auto& mount : plan.mounts)
    if (is_reserved(mount.to)) return "mounting at " + mount.to + " is refused: the sandbox is made of it";

  std::vector<std::string> out = {"bwrap"};
  auto add = [&](std::initializer_list<std::string> words) { out.insert(out.end(), words); };
  const auto inner = std::to_string(inside::uid);
  // --unshare-all only tries for a user namespace: asking for it by name makes its absence a failure.
  add({"--unshare-all", "--unshare-user", "--disable-userns", "--uid", inner, "--gid", inner, "--hostname",
       "sandbox"});
  add({"--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--clearenv"});

  add({"--ro-bind", "/usr", "/usr"});
  for (const auto& [target, at] : plan.links) add({"--symlink", target, at});
  for (const auto& [from, to] : plan.read_only) add({"--ro-bind", from, to});
  for (const auto& [fd, to] : plan.files) add({"--ro-bind-data", std::to_string(fd), to});

  const auto bytes = std::to_string(plan.shared_memory_bytes);
  add({"--proc", "/proc", "--dev", "/dev"});
  add({"--perms", "1777", "--size", bytes, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"});
  add({"--perms", "1777", "--size", bytes, "--tmpfs", "/tmp", "--dir", "/tmp/.X11-unix"});
  add({"--dir", "/var", "--symlink", "../tmp", "/var/tmp", "--dir", "/run/troupe"});

  add({"--ro-bind", plan.program, std::string(inside::programs) + "/sandboxd"});
  for (const auto& [from, name] : plan.programs)
    add({"--ro-bind", from, std::string(inside::programs) + "/" + name});
  if (!plan.tools.empty()) add({"--ro-bind", plan.tools, inside::tools});
  // Read-only keeps the sandbox from replacing a socket; connecting to one needs no writable mount.
  if (!plan.network.empty()) add({"--ro-bind", plan.network, inside::network});
  add({"--bind", plan.home, inside::home, "--bind", plan.workspace, inside::workspace});
  for (const auto& mount : plan.mounts)
    add({mount.writable ? "--bind" : "--ro-bind", mount.from.string(), mount.to});
  add({"--remount-ro", "/", "--chdir", inside::workspace});

  add({"--seccomp", std::to_string(plan.seccomp_fd)});
  if (plan.info_fd >= 0) add({"--info-fd", std::to_string(plan.info_fd)});
  out.push_back("--");
  out.insert(out.end(), plan.command.begin(), plan.command.end());
  return out;
}

std::vector<std::pair<std::string, std::string>> inner_environment(const sandbox_spec& spec) {
  std::vector<std::pair<std::string, std::string>> out = {
      {"PATH", std::string(inside::programs) + ":" + inside::tools +
                   "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", inside::home},
      {"USER", "agent"},
      {"LOGNAME", "agent"},
      {"SHELL", "/bin/sh"},
      {"LANG", "C.UTF-8"},
      {"TMPDIR", "/tmp"},
  };
  if (spec.network == network_mode::proxy) {
    const auto url = "http://127.0.0.1:" + std::to_string(spec.proxy_port);
    for (const char* name : {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"})
      out.emplace_back(name, url);
    for (const char* name : {"NO_PROXY", "no_proxy"}) out.emplace_back(name, "localhost,127.0.0.1,::1");
    out.emplace_back("NODE_USE_ENV_PROXY", "1");  // Node looks at the others only when told so
  }
  for (const auto& [name, value] : spec.environment) {
    auto there =
        std::find_if(out.begin(), out.end(), [&, n = name](const auto& item) { return item.first == n; });
    if (there != out.end())
      there->second = value;
    else
      out.emplace_back(name, value);
  }
  return out;
}

}  // namespace troupe::sandboxd
