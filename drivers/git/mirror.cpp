#include "drivers/git/mirror.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include <git2/sys/repository.h>

#include "drivers/git/handles.h"

namespace troupe::drivers::git {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view heads = "refs/heads/";

// Turns for one mirror; several mirrors may share one, which costs time only.
std::mutex& turn_of(const fs::path& folder) {
  static std::array<std::mutex, 64> turns;
  return turns[fs::hash_value(folder) % turns.size()];
}

// What the connected remote shows.
attempt<remote_facts> read_facts(git_remote* remote, const std::string& about, const job& with) {
  const git_remote_head** refs = nullptr;
  std::size_t count = 0;
  if (const int code = git_remote_ls(&refs, &count, remote); code < 0) return with.words(about, code);
  remote_facts facts;
  const git_oid* head = nullptr;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view name = refs[i]->name;
    if (name == "HEAD") {
      head = &refs[i]->oid;
      // git_remote_default_branch() crashes on a remote without a repository (1.5.1).
      const std::string_view target = refs[i]->symref_target != nullptr ? refs[i]->symref_target : "";
      if (target.starts_with(heads)) facts.default_branch = target.substr(heads.size());
    }
    if (name.starts_with(heads)) facts.branches.emplace_back(name.substr(heads.size()));
  }
  facts.empty = facts.branches.empty();
  std::sort(facts.branches.begin(), facts.branches.end());
  // A detached HEAD names no branch: the one that stands at the same commit, or the usual names, or the
  // first.
  const auto has = [&](const char* name) {
    return std::binary_search(facts.branches.begin(), facts.branches.end(), std::string(name));
  };
  for (std::size_t i = 0; facts.default_branch.empty() && head != nullptr && i < count; ++i) {
    const std::string_view name = refs[i]->name;
    if (name.starts_with(heads) && git_oid_equal(&refs[i]->oid, head))
      facts.default_branch = name.substr(heads.size());
  }
  if (facts.default_branch.empty()) {
    facts.default_branch = has("main") || facts.empty ? "main"
                           : has("master")            ? "master"
                                                      : facts.branches.front();
  }
  if (facts.branches.size() > max_branches) facts.branches.resize(max_branches);
  return facts;
}

int connect(git_remote* remote, job& with) {
  git_remote_callbacks callbacks = GIT_REMOTE_CALLBACKS_INIT;
  with.fill(callbacks);
  git_proxy_options proxy = GIT_PROXY_OPTIONS_INIT;
  proxy.type = GIT_PROXY_AUTO;
  return git_remote_connect(remote, GIT_DIRECTION_FETCH, &callbacks, &proxy, nullptr);
}

// The mirror's own configuration and nothing of the user's or the machine's.
int isolate(git_repository* repository, const fs::path& folder) {
  config_ptr config;
  int code = into(config, [](git_config** out) { return git_config_new(out); });
  if (code == 0) {
    code = git_config_add_file_ondisk(config.get(), (folder / "config").c_str(), GIT_CONFIG_LEVEL_LOCAL,
                                      nullptr, 1);
  }
  return code < 0 ? code : git_repository_set_config(repository, config.get());
}

attempt<remote_facts> fetch_into(const fs::path& folder, const repository_url& url, job& with,
                                 const std::string& about) {
  repository_ptr repository;
  int code = into(repository, [&](git_repository** out) {
    return git_repository_open_ext(out, folder.c_str(),
                                   GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
  });
  if (code == 0) code = isolate(repository.get(), folder);
  if (code < 0) return with.words(about, code);
  remote_ptr remote;
  code = into(remote, [&](git_remote** out) {
    return git_remote_create_anonymous(out, repository.get(), url.text.c_str());
  });
  if (code == 0) code = connect(remote.get(), with);
  if (code < 0) return with.words(about, code);
  auto facts = read_facts(remote.get(), about, with);
  if (!facts) return facts;

  git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
  with.fill(options.callbacks);
  options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;  // the refspec takes them all
  std::string branches = "+refs/heads/*:refs/heads/*", tags = "+refs/tags/*:refs/tags/*";
  std::array<char*, 2> specs = {branches.data(), tags.data()};
  const git_strarray wanted = {specs.data(), specs.size()};
  code = git_remote_download(remote.get(), &wanted, &options);
  if (code == 0) {
    code =
        git_remote_update_tips(remote.get(), &options.callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_NONE, "mirror");
  }
  if (code == 0) code = git_remote_prune(remote.get(), &options.callbacks);
  if (code < 0) return with.words(about, code);
  code = git_repository_set_head(repository.get(), ("refs/heads/" + facts->default_branch).c_str());
  if (code < 0) return with.words(about, code);
  return facts;
}

attempt<remote_facts> make(const fs::path& folder, const repository_url& url, job& with,
                           const std::string& about) {
  const fs::path making = folder.string() + ".making";
  std::error_code ec;
  fs::remove_all(making, ec);
  fs::create_directories(making.parent_path(), ec);
  {
    git_repository_init_options options = GIT_REPOSITORY_INIT_OPTIONS_INIT;
    options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_NO_REINIT;
    repository_ptr repository;
    const int code = into(repository, [&](git_repository** out) {
      return git_repository_init_ext(out, making.c_str(), &options);
    });
    if (code < 0) return with.words(about, code);
  }
  auto facts = fetch_into(making, url, with, about);
  if (facts) {
    fs::rename(making, folder, ec);
    if (ec) facts = git_failed(about + ": putting it in its place " + folder.string() + ": " + ec.message());
  }
  if (!facts) fs::remove_all(making, ec);
  return facts;
}

bool opens(const fs::path& folder) {
  repository_ptr repository;
  return into(repository, [&](git_repository** out) {
           return git_repository_open_ext(out, folder.c_str(),
                                          GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
         }) == 0;
}

// Sandboxes run under users of their own and read the mirror through a read-only mount.
void let_all_read(const fs::path& folder) {
  std::error_code ec;
  const auto open_up = [&](const fs::path& path, bool is_folder) {
    const auto read = fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read;
    const auto enter = fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
    fs::permissions(path, is_folder ? read | enter : read, fs::perm_options::add, ec);
  };
  open_up(folder, true);
  for (fs::recursive_directory_iterator at(folder, ec), end; !ec && at != end; at.increment(ec)) {
    if (!at->is_symlink()) open_up(at->path(), at->is_directory());
  }
}

}  // namespace

fs::path mirror_folder(const fs::path& data, std::string_view org, std::string_view name) {
  return data / "org" / org / "mirrors" / (std::string(name) + ".git");
}

attempt<remote_facts> probe(const repository_url& url, job& with) {
  const auto about = "asking " + url.text;
  return with.run([&]() -> attempt<remote_facts> {
    remote_ptr remote;
    int code =
        into(remote, [&](git_remote** out) { return git_remote_create_detached(out, url.text.c_str()); });
    if (code == 0) code = connect(remote.get(), with);
    if (code < 0) return with.words(about, code);
    auto facts = read_facts(remote.get(), about, with);
    git_remote_disconnect(remote.get());
    return facts;
  });
}

attempt<remote_facts> refresh_mirror(const fs::path& folder, const repository_url& url, job& with) {
  const auto about = "mirroring " + url.text;
  const std::lock_guard turn(turn_of(folder));
  return with.run([&] {
    std::error_code ec;
    const bool there = opens(folder);
    if (!there) fs::remove_all(folder, ec);  // a cache that is broken is made anew
    auto facts = there ? fetch_into(folder, url, with, about) : make(folder, url, with, about);
    if (facts) let_all_read(folder);
    return facts;
  });
}

}  // namespace troupe::drivers::git
