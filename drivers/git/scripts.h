// What git does inside a sandbox, as /bin/sh programs: run by the daemon there, under the sandbox's own user,
// with a clean environment and with hooks, filters, fsmonitor, prompts and foreign configuration off
// (clean_environment).
//
// Each prints `name=value` lines on stdout. Exit codes over 20 are answers of ours and not git's. What an
// agent did to its repository can make them fail or lie; it cannot make them act outside the sandbox, and
// what comes out is bounded.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::drivers::git::scripts {

enum exit_code : int {
  no_branch = 21,       // the branch that must exist does not
  no_base = 22,         // nor does the base branch
  bad_branch = 23,      // not a branch name
  no_base_commit = 24,  // the commit to compare with is not here
  conflicts = 25,       // unresolved
  no_repository = 26,   // the workspace has no repository any more
  bad_bundle = 27,
  no_task_branch = 28,   // the task's own branch is gone, has no commit yet, or is not the one checked out
  merging = 29,          // a merge is under way, and another cannot begin
  not_merging = 30,      // none is
  would_overwrite = 31,  // changes that are not committed stand in the way
};

// Functions that they use; stands in front of each.
extern const std::string_view common;

// Arguments: workspace, mirror, url, branch, base_branch, 1 if it must exist, author's name, email.
// Prints head (empty: no commit yet), base, created.
extern const std::string_view checkout;

// Arguments: workspace, base, name for a folder. Prints head, dirty, merge (the commit that is being merged,
// if one is), out: a folder with the files raw, numstat, untracked, unmerged (all NUL-separated) and patch.
extern const std::string_view diff;

// Arguments: workspace, message, author's name, email. Prints commit (empty: nothing to commit), files.
extern const std::string_view commit;

// Arguments: workspace, base, name for a folder. Prints commit, bytes, out: a folder with the file bundle.
extern const std::string_view save;

// Arguments: workspace, branch, base, name for a folder. Prints commit, dirty (1: there is more that is not
// committed), out: a folder with the file bundle of refs/heads/BRANCH, empty where the branch has nothing
// beyond the base.
extern const std::string_view bundle_branch;

// Merges what the mirror's branch has. Arguments: workspace, mirror, the task's branch, the one to merge, the
// base branch, author's name, email, name for a folder. Prints state (current, merged, conflicts), head,
// base, commit (what was merged), out: a folder with the file unmerged.
extern const std::string_view update;

// Arguments: workspace, base branch. Prints head, base.
extern const std::string_view abort_update;

// Arguments: workspace, mirror, name of the folder with the file bundle's pieces 1…, the number of pieces.
// Prints commit, head.
extern const std::string_view restore;

// Arguments: workspace, name of a folder of one of those above. Removes it.
extern const std::string_view clean;

// For `env -i`, as NAME=value.
std::vector<std::string> clean_environment();

}  // namespace troupe::drivers::git::scripts
