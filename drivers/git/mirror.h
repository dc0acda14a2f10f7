// The bare mirror of a repository: a cache that nobody but the server writes, made and refreshed with
// libgit2.
//
// Everything here blocks and belongs on the pool. One mirror may be refreshed from several threads; they take
// turns.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "drivers/git/job.h"
#include "drivers/git/url.h"

namespace troupe::drivers::git {

inline constexpr std::size_t max_branches = 1000;  // listed; all are mirrored

struct remote_facts {
  std::string default_branch;         // "main" for a repository without any branch
  std::vector<std::string> branches;  // sorted, at most max_branches
  bool empty = false;                 // no branch at all
};

// DATA/org/ORG/mirrors/NAME.git. Where a mount's source `mirror:NAME` leads.
std::filesystem::path mirror_folder(const std::filesystem::path& data, std::string_view org,
                                    std::string_view name);

// Asks the remote what it has, and fetches nothing.
attempt<remote_facts> probe(const repository_url& url, job& with);

// Makes the mirror or brings it up to date: all branches and tags, those gone at the remote removed. A mirror
// is made beside its place and renamed there when it is whole. Readable by every user, because sandboxes have
// their own.
attempt<remote_facts> refresh_mirror(const std::filesystem::path& folder, const repository_url& url,
                                     job& with);

}  // namespace troupe::drivers::git
