#include "sandboxd/isolation/seccomp.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string>

namespace troupe::sandboxd {
namespace {

// By name, because libseccomp knows calls that the build machine's headers do not; one that this architecture
// lacks is no error, it cannot be called there either.
constexpr const char* denied[] = {
    // mounting, old interface and new
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "open_tree",
    "move_mount",
    "mount_setattr",
    // namespaces
    "unshare",
    "setns",
    // other processes' memory
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "process_madvise",
    // kernel corners
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "add_key",
    "request_key",
    "keyctl",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "query_module",
    "lookup_dcookie",
    "fanotify_init",
    "vmsplice",
    "migrate_pages",
    "move_pages",
    // files by handle reach beyond mounts
    "open_by_handle_at",
    "name_to_handle_at",
    // the machine
    "swapon",
    "swapoff",
    "reboot",
    "quotactl",
    "quotactl_fd",
    "acct",
    "syslog",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "stime",
    "sethostname",
    "setdomainname",
    "iopl",
    "ioperm",
    "personality",
    "vhangup",
    "nfsservctl",
    "uselib",
    "ustat",
    "sysfs",
    "_sysctl",
};

struct filter_free {
  void operator()(void* filter) const { seccomp_release(filter); }
};

os_error refused(int code, const std::string& what) {
  return {-code, "seccomp: adding the rule for " + what + " failed"};
}

}  // namespace

outcome<descriptor> compile_seccomp(const seccomp_policy& policy) {
  std::unique_ptr<void, filter_free> filter{seccomp_init(SCMP_ACT_ALLOW)};
  if (!filter) return os_error{ENOMEM, "seccomp: no filter could be made"};
  const auto eperm = SCMP_ACT_ERRNO(EPERM);

  auto deny = [&](const char* name) -> int {
    const int number = seccomp_syscall_resolve_name(name);
    if (number < 0) return 0;
    return seccomp_rule_add(filter.get(), eperm, number, 0);
  };
  for (const char* name : denied)
    if (int code = deny(name); code < 0) return refused(code, name);
  if (!policy.allow_ptrace)
    if (int code = deny("ptrace"); code < 0) return refused(code, "ptrace");

  // The kernel looks at the low 32 bits of an ioctl's request alone; so must the filter.
  for (unsigned long request : {static_cast<unsigned long>(TIOCSTI), static_cast<unsigned long>(TIOCLINUX)}) {
    const auto compare = SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffUL, request);
    if (int code = seccomp_rule_add(filter.get(), eperm, SCMP_SYS(ioctl), 1, compare); code < 0)
      return refused(code, "ioctl TIOCSTI");
  }
  const auto new_user = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER);
  if (int code = seccomp_rule_add(filter.get(), eperm, SCMP_SYS(clone), 1, new_user); code < 0)
    return refused(code, "clone(CLONE_NEWUSER)");
  if (int code = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0); code < 0)
    return refused(code, "clone3");

  descriptor out{memfd_create("seccomp", MFD_CLOEXEC)};
  if (!out) return os_error{errno, "seccomp: memfd_create failed"};
  if (int code = seccomp_export_bpf(filter.get(), out.get()); code < 0)
    return os_error{-code, "seccomp: the filter could not be written"};
  if (lseek(out.get(), 0, SEEK_SET) < 0) return os_error{errno, "seccomp: lseek failed"};
  return out;
}

}  // namespace troupe::sandboxd
