#include "sandboxd/isolation/rlimits.h"

#include <errno.h>
#include <sys/resource.h>

#include <algorithm>

namespace troupe::sandboxd {

outcome<done> set_process_limits(const limits_spec& limits) {
  struct item {
    __rlimit_resource which;
    rlim_t value;
    const char* name;
  };
  const item items[] = {
      {RLIMIT_CORE, 0, "RLIMIT_CORE"},
      {RLIMIT_NPROC, limits.pids ? limits.pids : RLIM_INFINITY, "RLIMIT_NPROC"},
      {RLIMIT_FSIZE, limits.disk_bytes ? limits.disk_bytes : RLIM_INFINITY, "RLIMIT_FSIZE"},
      {RLIMIT_DATA, limits.memory_bytes ? limits.memory_bytes : RLIM_INFINITY, "RLIMIT_DATA"},
  };
  for (const auto& i : items) {
    rlimit now{};
    if (::getrlimit(i.which, &now) < 0) return os_error{errno, std::string("read ") + i.name};
    const rlim_t hard = std::min(now.rlim_max, i.value);
    // What is unlimited keeps its soft limit: raising it is the program's own business.
    const rlimit set{std::min(i.value == RLIM_INFINITY ? now.rlim_cur : hard, hard), hard};
    if (::setrlimit(i.which, &set) < 0) return os_error{errno, std::string("set ") + i.name};
  }
  return done{};
}

}  // namespace troupe::sandboxd
