// git.push: out of the sandbox as a bundle, into the mirror, from there to the remote. The credential exists
// in the last step alone.
#include "drivers/git/bundle.h"
#include "drivers/git/credentials.h"
#include "drivers/git/handles.h"
#include "drivers/git/mirror.h"
#include "drivers/git/part_file.h"
#include "drivers/git/push.h"
#include "drivers/git/script_run.h"
#include "drivers/git/scripts.h"
#include "drivers/git/workspace.h"

namespace troupe::drivers::git {
namespace {

struct plan {
  repository_url url;
  std::filesystem::path mirror;
  std::string branch, commit, reference;  // what the mirror calls it while it is pushed
  bool has_bundle = false;
};

// The name goes whatever came of the push: the next attempt brings the commits again.
struct named_commit {
  const plan& what;
  ~named_commit() {
    repository_ptr repository;
    const int code = into(repository, [&](git_repository** out) {
      return git_repository_open_ext(out, what.mirror.c_str(),
                                     GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
    });
    if (code == 0) git_reference_remove(repository.get(), what.reference.c_str());
  }
};

// Where the branch has nothing beyond its base, the mirror has the commit already.
attempt<bool> name_known_commit(const plan& what, const std::string& about, job& with) {
  return with.run([&]() -> attempt<bool> {
    repository_ptr repository;
    reference_ptr made;
    git_oid id;
    int code = into(repository, [&](git_repository** out) {
      return git_repository_open_ext(out, what.mirror.c_str(),
                                     GIT_REPOSITORY_OPEN_NO_SEARCH | GIT_REPOSITORY_OPEN_BARE, nullptr);
    });
    if (code == 0) code = git_oid_fromstr(&id, what.commit.c_str());
    if (code == 0)
      code = into(made, [&](git_reference** out) {
        return git_reference_create(out, repository.get(), what.reference.c_str(), &id, 1, "push");
      });
    if (code < 0) return with.words(about, code);
    return true;
  });
}

attempt<json> push_from_mirror(const plan& what, const part_file& bundle, job& with) {
  const auto about = "pushing `" + what.branch + "`";
  const named_commit named{what};
  if (what.has_bundle) {
    auto taken = fetch_bundle(what.mirror, bundle.path(), "refs/heads/" + what.branch, what.reference, with);
    if (!taken) return taken.error();
    if (*taken != what.commit)
      return git_failed(about + ": the bundle holds the commit " + *taken + ", not " + what.commit);
  } else if (auto known = name_known_commit(what, about, with); !known) {
    return known.error();
  }
  auto done = push_branch(what.mirror, what.url, what.reference, what.branch, with);
  if (!done) return done.error();
  json result{
      {"commit", what.commit}, {"branch", what.branch}, {"moved", done->moved}, {"created", done->created}};
  if (!done->words.empty()) result["words"] = done->words;
  if (!done->link.empty()) result["link"] = done->link;
  return result;
}

}  // namespace

effect_coroutine push(environment_ptr world, run_ptr run) {
  const auto& body = run->body();
  const auto handle = text_field(body, "handle"), base = text_field(body, "base");
  const auto org = text_field(body, "org"), name = text_field(body, "repository");
  const auto what = std::make_shared<plan>();
  what->branch = text_field(body, "branch");
  const auto about = "pushing `" + what->branch + "`";
  if (!key::valid_id(org) || !key::valid_id(name))
    co_return invalid(about + ": `" + org + "/" + name + "` is no repository");
  if (!is_commit_id(base)) co_return invalid(about + ": the base `" + base + "` is not a commit id");
  auto url = parse_url(text_field(body, "url"), world->repository_roots);
  if (!url) co_return url.error();
  auto secret = credential_of(*world, body, *url);
  if (!secret) co_return secret.error();
  auto place = world->daemons.address(handle);
  if (!place)
    co_return not_found(about + ": there is no sandbox `" + handle + "` any more; make the task a new one");
  what->url = *url;
  what->mirror = mirror_folder(world->data, org, name);
  what->reference = "refs/troupe/push/" + run->id();

  const auto folder = "push-" + run->id();
  script bundling;
  bundling.text = scripts::bundle_branch;
  bundling.arguments = {place->workspace, what->branch, base, folder};
  bundling.about = about;
  auto bundled = co_await run_script(world, handle, std::move(bundling), run->deadline());
  if (!bundled) {
    co_await clean_up(world, handle, place->workspace, folder);
    co_return bundled.error();
  }
  what->commit = bundled->commit("commit");
  if (what->commit.empty()) co_return git_failed(about + ": git named no commit");

  const auto part = std::make_shared<part_file>(world->data / run->actor().str() / ("." + folder + ".part"));
  std::uint64_t bytes = 0;
  const std::function<void(std::string_view)> sink = [&bytes, part](std::string_view piece) {
    bytes += piece.size();
    part->write(piece);
  };
  auto longer = co_await world->daemons.read_file(handle, bundled->text("out") + "/bundle", max_bundle_bytes,
                                                  sink, run->deadline());
  co_await clean_up(world, handle, place->workspace, folder);
  if (!longer) co_return longer.error();
  if (*longer) {
    co_return git_refused(
        "file_too_large",
        about + ": its commits are larger than 1 GiB; take large files out of them and push again");
  }
  if (part->failed_to_write()) co_return part->why(about);
  what->has_bundle = bytes > 0;

  const auto with = std::make_shared<job>(std::move(*secret));
  run->on_cancel([weak = std::weak_ptr(with)] {
    if (const auto running = weak.lock()) running->end();
  });
  const auto work = [what, part, with] { return push_from_mirror(*what, *part, *with); };
  auto outcome = co_await on_pool(world->threads, work);
  if (!outcome) co_return transport("too many git operations wait already; it is tried again");
  if (*outcome) (**outcome)["dirty"] = bundled->text("dirty") == "1";
  co_return std::move(*outcome);
}

}  // namespace troupe::drivers::git
