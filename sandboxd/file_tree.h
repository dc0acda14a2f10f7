// Files below one folder and nowhere else.
//
// Every path is resolved by the kernel from the root's descriptor (openat2), so that neither `..` nor a
// symbolic link, nor one that is exchanged while we look, leads out. The same code serves `sandboxd serve
// --root` and the inside of a sandbox, where the root is "/" and the confinement is the mounts'.
//
// Calls block on the disk. Immutable after opening: any thread may call, several at once.
#pragma once

#include <string>

#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"
#include "sandboxd/place.h"

namespace troupe::sandboxd {

constexpr std::size_t max_listed_entries = 100'000;

// How deep remove() and the making of parents go; deeper is ENAMETOOLONG.
constexpr int max_folder_depth = 512;

class file_tree {
 public:
  // `root`: an absolute path of an existing folder. `home`: what `~` and relative paths mean; when it is not
  // below the root, the root is home.
  static outcome<file_tree> open(std::string root, std::string home);

  // As the methods of `place` of the same names, and with their errors.
  outcome<file_status> status(const std::string& path) const;
  outcome<std::vector<file_entry>> list(const std::string& path) const;
  outcome<descriptor> open(const std::string& path, open_mode how, std::uint32_t mode) const;
  outcome<done> make_directory(const std::string& path) const;
  outcome<done> make_symlink(const std::string& target, const std::string& path) const;
  outcome<done> move(const std::string& from, const std::string& to, bool overwrite) const;
  outcome<done> remove(const std::string& path, bool recursive) const;

  // For a process to start in; ENOTDIR when it is something else.
  outcome<descriptor> open_directory(const std::string& path) const;

  const std::string& root() const { return root_; }
  const std::string& home() const { return home_; }

 private:
  struct place_in;

  file_tree(std::string root, std::string home, descriptor at);
  outcome<std::string> relative(const std::string& path) const;
  outcome<descriptor> resolve(int at, const std::string& relative, int flags, std::uint32_t mode = 0) const;
  outcome<place_in> parent_of(const std::string& path, bool make_parents) const;
  outcome<descriptor> folder(const std::string& relative, bool make) const;

  std::string root_;
  std::string home_;
  descriptor at_;
  std::uint64_t how_;  // RESOLVE_… of openat2
};

}  // namespace troupe::sandboxd
