// The command line of bubblewrap for one sandbox. Pure functions: nothing here touches the system.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sandboxd/isolation/spec.h"

namespace troupe::sandboxd {

// What the launcher prepared for bwrap: descriptors that it inherits, and paths that its uid can reach.
struct bwrap_plan {
  // The ids that bwrap itself will run with on the host. Root, or the root's group, is refused: without an
  // own uid a sandbox of root can remount and read what is root's.
  std::uint32_t host_uid = 0;
  std::uint32_t host_gid = 0;

  std::string program;  // sandboxd, seen inside as /opt/troupe/bin/sandboxd
  std::vector<std::pair<std::string, std::string>> programs;  // host path → name in /opt/troupe/bin
  std::string workspace;                                      // host paths of the writable folders
  std::string home;
  std::string network;  // folder with the proxy's sockets; empty: none
  std::string tools;    // empty: none
  std::vector<mount_spec> mounts;

  std::vector<std::pair<std::string, std::string>> read_only;  // what exists of /etc, host path → inside
  std::vector<std::pair<int, std::string>> files;              // descriptor with a made-up file → inside
  std::vector<std::pair<std::string, std::string>> links;      // target → inside: /bin, /lib, …

  int seccomp_fd = -1;
  int info_fd = -1;
  int control_fd = -1;                            // left open for init
  std::uint64_t shared_memory_bytes = 256 << 20;  // of /tmp and /dev/shm each
  std::vector<std::string> command;               // what runs as PID 1, a path inside first
};

// argv of bwrap with argv[0], or why no such sandbox may be made.
std::variant<std::vector<std::string>, std::string> bwrap_arguments(const bwrap_plan& plan);

// PATH, HOME, LANG, proxy variables and the like, with what the spec gives on top.
std::vector<std::pair<std::string, std::string>> inner_environment(const sandbox_spec& spec);

}  // namespace troupe::sandboxd
