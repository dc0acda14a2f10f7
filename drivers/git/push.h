// Pushing a commit of a mirror to the branch of its remote, and every way in which that fails, in words.
//
// Blocks; belongs on the pool.
#pragma once

#include <filesystem>
#include <string>

#include "drivers/git/job.h"
#include "drivers/git/url.h"

namespace troupe::drivers::git {

struct pushed {
  bool moved = false;    // false: the branch was there already
  bool created = false;  // the remote had no such branch
  std::string words;     // the remote's, for people
  std::string link;      // in them, to open a pull request; empty for none
};

// Lets `branch` at the remote name the commit that `reference` names in the mirror. Never rewrites what is
// there.
attempt<pushed> push_branch(const std::filesystem::path& mirror, const repository_url& url,
                            const std::string& reference, const std::string& branch, job& with);

// The problem for what a remote said when it did not take a branch: its code, its words, what to do.
failed push_refusal(const std::string& about, const std::string& branch, const std::string& reason,
                    const std::string& words);

// The first link in a remote's words that leads to a pull request or its making.
std::string pull_request_link(const std::string& words);

}  // namespace troupe::drivers::git
