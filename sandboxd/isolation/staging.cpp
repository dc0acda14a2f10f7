#include "sandboxd/isolation/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "sandboxd/descriptor.h"

namespace troupe::sandboxd {
namespace {

namespace fs = std::filesystem;

// Hidden by our tmpfs in the private namespace only; nothing that bubblewrap needs lies there.
constexpr const char* stage = "/run";

// A mount of its own of `path`, not yet attached anywhere.
outcome<descriptor> clone_mount(const std::string& path) {
  descriptor tree{::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT)};
  if (!tree) return os_error{errno, "take " + path + " into the sandbox"};
  return tree;
}

outcome<done> attach(const descriptor& tree, const std::string& at, bool folder) {
  if (folder) {
    if (::mkdir(at.c_str(), 0755) < 0 && errno != EEXIST) return os_error{errno, "make " + at};
  } else {
    descriptor file{::open(at.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644)};
    if (!file) return os_error{errno, "make " + at};
  }
  if (::move_mount(tree.get(), "", AT_FDCWD, at.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0)
    return os_error{errno, "attach a mount at " + at};
  return done{};
}

outcome<done> mount_overlay(const std::string& lower, const std::string& changes, const std::string& at,
                            bool user, std::uint32_t uid, std::uint32_t gid) {
  const auto upper = changes + "/upper", scratch = changes + "/scratch";
  for (const auto& folder : {upper, scratch})
    if ((::mkdir(folder.c_str(), 0700) == 0 && ::chown(folder.c_str(), uid, gid) < 0) ||
        (errno != EEXIST && ::access(folder.c_str(), F_OK) < 0))
      return os_error{errno, "make " + folder};
  // The option string separates by commas and colons and cannot hold them.
  for (const auto& path : {lower, upper})
    if (path.find_first_of(",:\\") != std::string::npos)
      return os_error{EINVAL, "overlay: the path " + path + " has a comma, a colon or a backslash"};
  std::string options = "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + scratch;
  if (user) options += ",userxattr";
  if (::mkdir(at.c_str(), 0755) < 0 && errno != EEXIST) return os_error{errno, "make " + at};
  if (::mount("overlay", at.c_str(), "overlay", MS_NOSUID | MS_NODEV, options.c_str()) < 0)
    return os_error{errno, "mount the overlay of " + lower + " at " + at};
  return done{};
}

bool write_file(const char* path, const std::string& text) {
  descriptor file{::open(path, O_WRONLY | O_CLOEXEC)};
  return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

void plan_in_place(const sandbox_spec& spec, const std::string& program, bwrap_plan& plan) {
  plan.program = program;
  plan.workspace = spec.work().string();
  plan.home = spec.home().string();
  if (spec.network == network_mode::proxy) plan.network = spec.net().string();
  if (spec.tools) plan.tools = spec.tools->string();
  for (const auto& [from, name] : spec.programs) plan.programs.emplace_back(from.string(), name);
  plan.mounts = spec.mounts;
}

outcome<done> stage_mounts(const sandbox_spec& spec, bwrap_plan& plan) {
  if (::unshare(CLONE_NEWNS) < 0) return os_error{errno, "leave the host's mount namespace"};
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
    return os_error{errno, "keep mounts private"};

  // All are taken before the stage covers anything: the data folder may itself lie below it.
  struct item {
    std::string* path;
    descriptor tree;
    bool folder;
  };
  std::vector<item> items;
  std::string base = spec.overlay_base ? spec.overlay_base->string() : "";
  std::vector<std::string*> paths = {&plan.program, &plan.workspace, &plan.home};
  if (!plan.network.empty()) paths.push_back(&plan.network);
  if (!plan.tools.empty()) paths.push_back(&plan.tools);
  if (!base.empty()) paths.push_back(&base);
  for (auto& [from, name] : plan.programs) paths.push_back(&from);
  std::vector<std::string> mounted(plan.mounts.size());
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    mounted[i] = plan.mounts[i].from.string();
    paths.push_back(&mounted[i]);
  }
  for (auto* path : paths) {
    struct stat info {};
    if (::stat(path->c_str(), &info) < 0) return os_error{errno, "take " + *path + " into the sandbox"};
    auto tree = clone_mount(*path);
    if (!tree) return tree.error();
    items.push_back({path, std::move(tree).value(), S_ISDIR(info.st_mode)});
  }
  if (::mount("tmpfs", stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0)
    return os_error{errno, std::string("mount the stage at ") + stage};
  int number = 0;
  for (auto& i : items) {
    const auto at = std::string(stage) + "/" + std::to_string(number++);
    if (auto put = attach(i.tree, at, i.folder); !put) return put;
    *i.path = at;
  }
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) plan.mounts[i].from = mounted[i];
  if (!base.empty()) {
    const auto merged = std::string(stage) + "/merged";
    if (auto up = mount_overlay(base, plan.workspace, merged, false, spec.uid, spec.gid); !up) return up;
    plan.workspace = merged;
  }
  return done{};
}

outcome<done> stage_overlay_unprivileged(const sandbox_spec& spec, bwrap_plan& plan) {
  if (!spec.overlay_base) return done{};
  const auto uid = std::to_string(::getuid()), gid = std::to_string(::getgid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
    return os_error{errno, "make a user namespace for the overlay"};
  // Our /proc files belong to root while we are not dumpable, as the supervisor is. This process runs
  // bubblewrap next.
  ::prctl(PR_SET_DUMPABLE, 1);
  if (!write_file("/proc/self/setgroups", "deny") ||
      !write_file("/proc/self/uid_map", uid + " " + uid + " 1") ||
      !write_file("/proc/self/gid_map", gid + " " + gid + " 1"))
    return os_error{errno, "map the own ids into the overlay's user namespace"};
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
    return os_error{errno, "keep mounts private"};
  const auto merged = plan.workspace + "/merged";
  if (auto up =
          mount_overlay(spec.overlay_base->string(), plan.workspace, merged, true, ::getuid(), ::getgid());
      !up)
    return up;
  plan.workspace = merged;
  return done{};
}

void plan_system(bwrap_plan& plan) {
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    const auto at = std::string("/") + name;
    std::error_code ec;
    if (fs::is_symlink(at, ec))
      plan.links.emplace_back(fs::read_symlink(at, ec).string(), at);
    else if (fs::is_directory(at, ec))
      plan.read_only.emplace_back(at, at);
  }
  // Certificates, the links behind awk and editor, the linker's cache, the time zone. No names, no keys, no
  // hosts.
  for (const char* at : {"/etc/ssl", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ca-certificates"}) {
    std::error_code ec;
    if (fs::exists(at, ec)) plan.read_only.emplace_back(at, at);
  }
  std::error_code ec;
  if (const auto zone = fs::canonical("/etc/localtime", ec); !ec)
    plan.read_only.emplace_back(zone, "/etc/localtime");
}

}  // namespace troupe::sandboxd
