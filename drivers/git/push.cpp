#include "drivers/git/push.h"

#include <algorithm>
#include <optional>

#include "drivers/git/handles.h"
#include "drivers/git/receive_pack.h"

namespace troupe::drivers::git {
namespace {

struct report {
  job& with;
  bool negotiated = false, created = false, moved = false;
  std::optional<std::string> refused;
};

// One payload serves all callbacks, and the job's own are among them.
thread_local report* current = nullptr;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(c < 128 ? std::tolower(c) : c); });
  return text;
}

bool has_any(const std::string& text, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const char* part) { return text.find(part) != std::string::npos; });
}

failed not_fast_forward(const std::string& about, const std::string& branch) {
  return git_refused("not_fast_forward",
                     about +
                         ": the remote's branch has commits that this one lacks, and nothing is overwritten. "
                         "Take them in first (task.update_from_base with branch: \"" +
                         branch + "\"), then push again");
}

}  // namespace

std::string pull_request_link(const std::string& words) {
  for (std::size_t at = 0; (at = words.find("https://", at)) != std::string::npos;) {
    const auto end = std::min(words.find_first_of(" \t\n\"'<>", at), words.size());
    auto link = words.substr(at, end - at);
    if (has_any(link, {"/pull/", "/merge_requests/", "/compare/", "/pull-requests/", "/pulls/"})) return link;
    at = end;
  }
  return {};
}

// The remedy stands before the remote's words, which may be long and get cut.
failed push_refusal(const std::string& about, const std::string& branch, const std::string& reason,
                    const std::string& words) {
  const auto both = lower(reason + "\n" + words);
  const auto refused = [&](const char* code, const std::string& remedy) {
    return git_refused(code, about + ": the remote refused: " + reason + ". " + remedy +
                                 (words.empty() ? "" : ". It said:\n" + words));
  };
  if (has_any(both, {"non-fast-forward", "fetch first", "stale info"}))
    return not_fast_forward(about, branch);
  if (has_any(both, {"no space left", "disk quota", "quota exceeded", "disk full"}))
    return refused("remote_full", "Its disk is full: make room there, then push again; nothing was lost");
  if (has_any(both, {"gh001", "large file", "file size limit", "exceeds the maximum", "exceeds maximum",
                     "too large", "too big", "larger than"}))
    return refused(
        "file_too_large",
        "Take the large file out of the branch's commits (rewriting those that have it, or with Git "
        "LFS where the remote has it), then push again");
  if (has_any(both, {"protected branch", "protected ref", "gh006", "gh013", "is protected",
                     "not allowed to push", "branch protection"}))
    return refused("protected_branch",
                   "The branch `" + branch +
                       "` takes no pushes: ask who keeps the repository to allow it, or work on a task with "
                       "another branch");
  return refused("push_rejected", "Put right what it asks for, then push again; nothing was lost");
}

attempt<pushed> push_branch(const std::filesystem::path& mirror, const repository_url& url,
                            const std::string& reference, const std::string& branch, job& with) {
  const auto about = "pushing `" + branch + "` to " + url.text;
  return with.run([&]() -> attempt<pushed> {
    repository_ptr repository;
    int code = into(repository, [&](git_repository** out) {
      return git_repository_open_ext(out, mirror.c_str(),
                                     GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
    });
    if (code < 0) return with.words(about, code);
    remote_ptr remote;
    code = into(remote, [&](git_remote** out) {
      return git_remote_create_anonymous(out, repository.get(), url.text.c_str());
    });
    if (code < 0) return with.words(about, code);

    report seen{with};
    git_push_options options = GIT_PUSH_OPTIONS_INIT;
    options.pb_parallelism = 1;
    options.proxy_opts.type = GIT_PROXY_AUTO;
    with.fill(options.callbacks);
    current = &seen;
    options.callbacks.push_negotiation = [](const git_push_update** updates, std::size_t count, void*) {
      current->negotiated = true;
      current->created = count > 0 && git_oid_is_zero(&updates[0]->src) == 1;
      current->moved = count > 0 && git_oid_equal(&updates[0]->src, &updates[0]->dst) == 0;
      return current->with.ended() ? -1 : 0;
    };
    options.callbacks.push_update_reference = [](const char*, const char* status, void*) {
      if (status != nullptr) current->refused = status;
      return 0;
    };
    if (url.scheme == repository_url::kind::path) options.callbacks.transport = receive_pack_transport;
    std::string spec = reference + ":refs/heads/" + branch;
    char* specs[] = {spec.data()};
    const git_strarray wanted = {specs, 1};
    code = git_remote_push(remote.get(), &wanted, &options);
    if (code == GIT_ENONFASTFORWARD) return not_fast_forward(about, branch);
    const auto words = with.remote_words();
    if (code < 0) {
      const auto* last = git_error_last();
      const std::string said = last != nullptr && last->message != nullptr ? last->message : "";
      // The remote took the pack and could not keep it; only its words say why.
      if (!with.ended() && (seen.negotiated && (said.find("unpack") != std::string::npos)))
        return push_refusal(about, branch, said, words);
      return with.words(about, code);
    }
    if (seen.refused) return push_refusal(about, branch, *seen.refused, words);
    return pushed{
        .moved = seen.moved, .created = seen.created, .words = words, .link = pull_request_link(words)};
  });
}

}  // namespace troupe::drivers::git
