#include "sandboxd/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "sandboxd/paths.h"

namespace troupe::sandboxd {
namespace {

// EAGAIN: somebody renamed around us while the kernel resolved; it asks to try again.
constexpr int max_resolve_attempts = 64;

file_status status_of(const struct stat& st) {
  file_status out;
  if (S_ISREG(st.st_mode))
    out.kind = file_kind::regular;
  else if (S_ISDIR(st.st_mode))
    out.kind = file_kind::directory;
  else if (S_ISLNK(st.st_mode))
    out.kind = file_kind::symlink;
  out.size = static_cast<std::uint64_t>(st.st_size);
  out.mode = st.st_mode & 07777;
  out.modified_ns = st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec;
  return out;
}

struct close_dir {
  void operator()(DIR* d) const { ::closedir(d); }
};
using directory_stream = std::unique_ptr<DIR, close_dir>;

// Takes the descriptor.
directory_stream read_directory(descriptor folder) {
  DIR* d = ::fdopendir(folder.get());
  if (d) folder.release();
  return directory_stream(d);
}

bool dots(const char* name) {
  return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

// Removes what is below an open folder. One descriptor a level; `depth` bounds them.
int empty_folder(descriptor folder, int depth) {
  if (depth <= 0) return ENAMETOOLONG;
  int fd = folder.get();
  auto entries = read_directory(std::move(folder));
  if (!entries) return errno;
  errno = 0;
  while (auto* e = ::readdir(entries.get())) {
    if (dots(e->d_name)) continue;
    if (::unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) return errno;
    descriptor inner(::openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner) return errno;
    if (int failed = empty_folder(std::move(inner), depth - 1)) return failed;
    if (::unlinkat(fd, e->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT) return errno;
    errno = 0;
  }
  return errno;
}

// A folder with all that is below it. `path` is for the error.
outcome<done> remove_at(int at, const std::string& name, const std::string& path) {
  descriptor inner(::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner) return os_error{errno, path};
  if (int failed = empty_folder(std::move(inner), max_folder_depth)) return os_error{failed, path};
  if (::unlinkat(at, name.c_str(), AT_REMOVEDIR) != 0) return os_error{errno, path};
  return done{};
}

}  // namespace

// The last component of a path and the open folder that it is in.
struct file_tree::place_in {
  descriptor folder;
  std::string name;
};

file_tree::file_tree(std::string root, std::string home, descriptor at)
    : root_(std::move(root)), home_(std::move(home)), at_(std::move(at)) {
  // BENEATH refuses absolute symbolic links, which is right below a root that is not everybody's root: what
  // they name is elsewhere. With "/" nothing is elsewhere.
  how_ = root_ == "/" ? RESOLVE_IN_ROOT : RESOLVE_BENEATH;
}

outcome<file_tree> file_tree::open(std::string root, std::string home) {
  descriptor at(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at) return os_error{errno, "open the root folder " + root};
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (home.empty() || home.front() != '/' || !below_root(home, root)) home = root;
  return file_tree(std::move(root), std::move(home), std::move(at));
}

outcome<std::string> file_tree::relative(const std::string& path) const {
  auto absolute = absolute_path(path, home_);
  if (!absolute) return absolute.error();
  return below_root(absolute.value(), root_);
}

outcome<descriptor> file_tree::resolve(int at, const std::string& relative, int flags,
                                       std::uint32_t mode) const {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = flags & O_CREAT ? mode : 0;
  how.resolve = how_;
  for (int i = 0; i < max_resolve_attempts; ++i) {
    auto fd = ::syscall(SYS_openat2, at, relative.c_str(), &how, sizeof how);
    if (fd >= 0) return descriptor(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return os_error{errno, relative};
}

outcome<descriptor> file_tree::folder(const std::string& relative, bool make) const {
  auto whole = resolve(at_.get(), relative, O_PATH | O_DIRECTORY);
  if (whole || !make || whole.error().number != ENOENT) return whole;
  // Each prefix is resolved from the root, so that a `..` or link in the middle is judged like any other.
  int depth = 0;
  for (std::size_t at = 0; at < relative.size();) {
    auto end = std::min(relative.find('/', at), relative.size());
    auto prefix = relative.substr(0, end);
    auto before = at == 0 ? std::string(".") : relative.substr(0, at - 1);
    auto name = relative.substr(at, end - at);
    at = end + 1;
    if (++depth > max_folder_depth) return os_error{ENAMETOOLONG, relative};
    if (name == "..") continue;
    auto here = resolve(at_.get(), before, O_PATH | O_DIRECTORY);
    if (!here) return here;
    if (::mkdirat(here->get(), name.c_str(), 0777) != 0 && errno != EEXIST) return os_error{errno, prefix};
  }
  return resolve(at_.get(), relative, O_PATH | O_DIRECTORY);
}

outcome<file_tree::place_in> file_tree::parent_of(const std::string& path, bool make_parents) const {
  auto inside = relative(path);
  if (!inside) return inside.error();
  auto& p = inside.value();
  auto slash = p.rfind('/');
  auto name = slash == std::string::npos ? p : p.substr(slash + 1);
  if (name == "." || name == "..") return os_error{EBUSY, path + " is not an entry of a folder"};
  auto parent = folder(slash == std::string::npos ? "." : p.substr(0, slash), make_parents);
  if (!parent) return os_error{parent.error().number, path};
  return place_in{std::move(parent).value(), std::move(name)};
}

outcome<file_status> file_tree::status(const std::string& path) const {
  auto inside = relative(path);
  if (!inside) return inside.error();
  auto fd = resolve(at_.get(), inside.value(), O_PATH);
  if (!fd) return os_error{fd.error().number, path};
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return os_error{errno, path};
  return status_of(st);
}

outcome<std::vector<file_entry>> file_tree::list(const std::string& path) const {
  auto inside = relative(path);
  if (!inside) return inside.error();
  auto fd = resolve(at_.get(), inside.value(), O_RDONLY | O_DIRECTORY | O_NONBLOCK);
  if (!fd) return os_error{fd.error().number, path};
  int at = fd->get();
  auto entries = read_directory(std::move(fd).value());
  if (!entries) return os_error{errno, path};
  std::vector<file_entry> out;
  errno = 0;
  while (auto* e = ::readdir(entries.get())) {
    if (dots(e->d_name)) continue;
    if (out.size() == max_listed_entries)
      return os_error{EOVERFLOW, path + " has more than " + std::to_string(max_listed_entries) + " entries"};
    struct stat st {};
    if (::fstatat(at, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) out.push_back({e->d_name, status_of(st)});
    errno = 0;
  }
  if (errno) return os_error{errno, path};
  return out;
}

outcome<descriptor> file_tree::open(const std::string& path, open_mode how, std::uint32_t mode) const {
  auto inside = relative(path);
  if (!inside) return inside.error();
  if (how == open_mode::replace) {
    auto slash = inside.value().rfind('/');
    if (slash != std::string::npos) {
      auto parent = folder(inside.value().substr(0, slash), true);
      if (!parent) return os_error{parent.error().number, path};
    }
  }
  // Without O_NONBLOCK opening a FIFO waits for its other end, for ever. Truncated only once it is known to
  // be a regular file.
  int flags = O_NONBLOCK | O_NOCTTY | (how == open_mode::read ? O_RDONLY : O_WRONLY | O_CREAT);
  auto fd = resolve(at_.get(), inside.value(), flags, mode & 0777);
  if (!fd) return os_error{fd.error().number, path};
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0) return os_error{errno, path};
  if (S_ISDIR(st.st_mode)) return os_error{EISDIR, path};
  if (!S_ISREG(st.st_mode)) return os_error{EINVAL, path + " is not a regular file"};
  if (how == open_mode::replace && ::ftruncate(fd->get(), 0) != 0) return os_error{errno, path};
  return std::move(fd).value();
}

outcome<done> file_tree::make_directory(const std::string& path) const {
  auto inside = relative(path);
  if (!inside) return inside.error();
  auto fd = folder(inside.value(), true);
  if (!fd) return os_error{fd.error().number, path};
  return done{};
}

outcome<done> file_tree::make_symlink(const std::string& text, const std::string& path) const {
  auto at = parent_of(path, true);
  if (!at) return at.error();
  if (::symlinkat(text.c_str(), at->folder.get(), at->name.c_str()) != 0) return os_error{errno, path};
  return done{};
}

outcome<done> file_tree::move(const std::string& from, const std::string& to, bool overwrite) const {
  auto source = parent_of(from, false);
  if (!source) return source.error();
  auto target = parent_of(to, true);
  if (!target) return target.error();
  auto rename = [&](unsigned flags) {
    return ::renameat2(source->folder.get(), source->name.c_str(), target->folder.get(), target->name.c_str(),
                       flags) == 0;
  };
  if (rename(overwrite ? 0 : RENAME_NOREPLACE)) return done{};
  int failed = errno;
  struct stat st {};
  auto there = [&] {
    return ::fstatat(target->folder.get(), target->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
  };
  // Some file systems know no RENAME_NOREPLACE; then the look and the rename are two steps.
  if (!overwrite && (failed == EINVAL || failed == ENOSYS)) {
    if (there()) return os_error{EEXIST, to};
    if (rename(0)) return done{};
    failed = errno;
  }
  // rename() replaces neither a filled folder nor a folder by a file. The old one steps aside and goes last:
  // what is moved may lie inside of it, and a failure must not cost it.
  if (overwrite && (failed == ENOTEMPTY || failed == EEXIST || failed == EISDIR || failed == ENOTDIR) &&
      there()) {
    auto aside = target->name.substr(0, 200) + ".replaced-" + std::to_string(::getpid());
    auto swap = [&](const std::string& a, const std::string& b) {
      return ::renameat2(target->folder.get(), a.c_str(), target->folder.get(), b.c_str(),
                         RENAME_NOREPLACE) == 0;
    };
    if (swap(target->name, aside)) {
      if (rename(0)) {
        if (::unlinkat(target->folder.get(), aside.c_str(), 0) == 0) return done{};
        return remove_at(target->folder.get(), aside, to);
      }
      failed = errno;
      swap(aside, target->name);
    }
  }
  return os_error{failed, failed == EEXIST ? to : from + " to " + to};
}

outcome<done> file_tree::remove(const std::string& path, bool recursive) const {
  auto at = parent_of(path, false);
  if (!at) return at.error();
  if (::unlinkat(at->folder.get(), at->name.c_str(), 0) == 0) return done{};
  if (errno != EISDIR && errno != EPERM) return os_error{errno, path};
  if (::unlinkat(at->folder.get(), at->name.c_str(), AT_REMOVEDIR) == 0) return done{};
  if (!recursive || (errno != ENOTEMPTY && errno != EEXIST)) return os_error{errno, path};
  return remove_at(at->folder.get(), at->name, path);
}

outcome<descriptor> file_tree::open_directory(const std::string& path) const {
  auto inside = relative(path);
  if (!inside) return inside.error();
  auto fd = resolve(at_.get(), inside.value(), O_PATH | O_DIRECTORY);
  if (!fd) return os_error{fd.error().number, path};
  return std::move(fd).value();
}

}  // namespace troupe::sandboxd
