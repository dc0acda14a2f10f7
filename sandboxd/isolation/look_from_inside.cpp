#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>

#include <nlohmann/json.hpp>

#include "sandboxd/descriptor.h"
#include "sandboxd/isolation/descendants.h"
#include "sandboxd/isolation/probe.h"

namespace troupe::sandboxd {
namespace {

// Empty: the promise holds. Else what was possible that must not be.
using finding = std::string;

bool opens(const std::string& path, int flags) {
  return bool(descriptor{::open(path.c_str(), flags | O_CLOEXEC, 0600)});
}

finding host_files(const std::string& canary) {
  for (const std::string& path : {canary, std::string("/etc/shadow"), std::string("/root")})
    if (opens(path, O_RDONLY)) return "opened " + path;
  return {};
}

finding system_is_read_only() {
  for (const char* path :
       {"/usr/.troupe", "/.troupe", "/etc/.troupe", "/opt/troupe/bin/.troupe", "/dev/.troupe"})
    if (opens(path, O_CREAT | O_WRONLY)) return std::string("created ") + path;
  return {};
}

finding own_folders() {
  for (const char* path : {"/workspace/.probe", "/home/agent/.probe", "/tmp/.probe"}) {
    if (!opens(path, O_CREAT | O_WRONLY))
      return std::string("could not create ") + path + ": " + strerror(errno);
    ::unlink(path);
  }
  return {};
}

finding processes() {
  if (::getpid() != 1) return "is not PID 1";
  if (const auto n = count_processes(); n != 1) return "sees " + std::to_string(n) + " processes";
  return {};
}

finding network() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) == 0) {
    std::string other;
    for (auto* i = all; i; i = i->ifa_next)
      if (strcmp(i->ifa_name, "lo") != 0) other = i->ifa_name;
    ::freeifaddrs(all);
    if (!other.empty()) return "has the interface " + other;
  }
  descriptor fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(0x08080808);
  if (fd && ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0)
    return "has a route to 8.8.8.8";
  return {};
}

finding status_line(const std::string& name, const std::string& wanted) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(name + ":", 0) != 0) continue;
    std::istringstream words(line.substr(name.size() + 1));
    std::string value;
    words >> value;
    return value == wanted ? "" : name + " is " + value;
  }
  return name + " is not in /proc/self/status";
}

finding privileges() {
  for (const auto& [name, wanted] :
       {std::pair{"NoNewPrivs", "1"}, std::pair{"Seccomp", "2"}, std::pair{"CapEff", "0000000000000000"},
        std::pair{"CapPrm", "0000000000000000"}, std::pair{"CapBnd", "0000000000000000"},
        std::pair{"CapInh", "0000000000000000"}})
    if (auto found = status_line(name, wanted); !found.empty()) return found;
  // A sandbox whose uid is the host's root, renamed, would see root's files as its own.
  struct stat info {};
  if (::getuid() != 1000 || ::stat("/usr", &info) < 0 || info.st_uid == ::getuid() || info.st_uid == 0)
    return "the host's root is among its users";
  return {};
}

finding denied(const char* what, const std::function<long()>& call) {
  errno = 0;
  if (call() < 0 && (errno == EPERM || errno == ENOSPC || errno == EACCES)) return {};
  return std::string(what) +
         (errno ? std::string(" failed with ") + strerror(errno) : std::string(" succeeded"));
}

finding system_calls() {
  if (auto f = denied("mount", [] { return ::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr); }); !f.empty())
    return f;
  if (auto f = denied("umount", [] { return ::umount2("/usr", MNT_DETACH); }); !f.empty()) return f;
  if (auto f = denied("unshare", [] { return ::unshare(CLONE_NEWNS); }); !f.empty()) return f;
  if (auto f = denied("ptrace", [] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }); !f.empty())
    return f;
  return {};
}

finding user_namespaces() {
  return denied("a user namespace", [] { return ::unshare(CLONE_NEWUSER); });
}

finding terminals() {
  descriptor fd{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!fd) return std::string("no terminal can be opened: ") + strerror(errno);
  return denied("TIOCSTI", [&] {
    char c = 'x';
    return ::ioctl(fd.get(), TIOCSTI, &c);
  });
}

}  // namespace

nlohmann::json look_from_inside(const std::string& canary) {
  nlohmann::json out = nlohmann::json::array();
  auto add = [&](const char* name, const finding& found) {
    out.push_back({{"check", name}, {"ok", found.empty()}, {"found", found}});
  };
  add("host_files", host_files(canary));
  add("system_is_read_only", system_is_read_only());
  add("own_folders", own_folders());
  add("processes", processes());
  add("network", network());
  add("privileges", privileges());
  add("system_calls", system_calls());
  add("user_namespaces", user_namespaces());
  add("terminals", terminals());
  return out;
}

}  // namespace troupe::sandboxd
