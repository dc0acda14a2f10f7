// Whose credential the server shows to a remote.
//
// A person's own is the secret git_HOST_USER of the organization, so that it can only ever be shown to that
// host; the repository's `credential` serves everybody else. Neither enters a sandbox.
#pragma once

#include <string>
#include <string_view>

#include "drivers/git/job.h"
#include "drivers/git/url.h"
#include "drivers/git/workspace.h"

namespace troupe::drivers::git {

// A host's name has no underscore, so that no two pairs give one name. Empty where none can be made.
std::string personal_credential(std::string_view host, std::string_view user);
// Whether a secret is some person's for git, which nothing but git may read.
bool is_personal_credential(std::string_view secret);

// By `org`, `owner` and `credential` of an effect's body (the last two may be missing).
attempt<credential> credential_of(const environment& world, const json& body, const repository_url& url);

}  // namespace troupe::drivers::git
