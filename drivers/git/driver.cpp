#include "drivers/git/driver.h"

#include "drivers/git/credentials.h"
#include "drivers/git/mirror.h"

namespace troupe::drivers::git {
namespace {

// Runs `work` on the pool; the effect's cancel, deadline and the end of the host end the job.
template <class F>
void on_threads(const environment_ptr& world, run_ptr run, F work) {
  const auto url = parse_url(text_field(run->body(), "url"), world->repository_roots);
  if (!url) return report(*run, url.error());
  auto secret = credential_of(*world, run->body(), *url);
  if (!secret) return report(*run, secret.error());
  const auto with = std::make_shared<job>(std::move(*secret));
  run->on_cancel([weak = std::weak_ptr(with)] {
    if (const auto running = weak.lock()) running->end();
  });
  const bool queued = world->threads.post([world, run, with, work, url = *url] {
    try {
      report(*run, with->ended() ? attempt<json>(timed_out("it was ended before it began"))
                                 : work(*world, run->body(), url, *with));
    } catch (const std::exception& e) {
      run->fail(invalid(std::string("the effect could not be performed: ") + e.what()).why);
    }
  });
  if (!queued) report(*run, transport("too many git operations wait already; it is tried again"));
}

json facts_of(const remote_facts& facts) {
  return {{"default_branch", facts.default_branch}, {"empty", facts.empty}};
}

attempt<json> do_probe(const environment&, const json&, const repository_url& url, job& with) {
  auto facts = probe(url, with);
  if (!facts) return facts.error();
  return facts_of(*facts);
}

attempt<json> do_mirror(const environment& world, const json& body, const repository_url& url, job& with) {
  const auto org = text_field(body, "org");
  const auto name = text_field(body, "repository");
  // They become folders.
  if (!key::valid_id(org) || !key::valid_id(name)) {
    return invalid("mirroring: `" + org + "` and `" + name +
                   "` must be ids (letters, digits, dot, underscore, dash)");
  }
  auto facts = refresh_mirror(mirror_folder(world.data, org, name), url, with);
  if (!facts) return facts.error();
  auto result = facts_of(*facts);
  result["mirror"] = "mirror:" + name;
  result["branches"] = facts->branches;
  return result;
}

}  // namespace

std::vector<effect_kind> effects(environment shared, limits with) {
  start_libgit2();
  const environment_ptr world = std::make_shared<const environment>(std::move(shared));
  const auto kind = [](const char* name, std::chrono::milliseconds deadline,
                       std::function<void(std::shared_ptr<effect_run>)> start) {
    effect_kind k;
    k.name = name;
    k.policy = after_restart::retry;
    k.deadline = deadline;
    // A body that does not fit the contract ends that effect and nothing else.
    k.start = [start = std::move(start)](std::shared_ptr<effect_run> run) {
      try {
        start(run);
      } catch (const std::exception& e) {
        run->fail(invalid(std::string("the effect could not be performed: ") + e.what()).why);
      }
    };
    return k;
  };
  const auto inside = [&](const char* name, effect_coroutine (*work)(environment_ptr, run_ptr)) {
    return kind(name, with.work, [world, work](run_ptr run) { perform(world->ex, run, work(world, run)); });
  };
  return {
      kind("git.probe", with.probe, [world](run_ptr run) { on_threads(world, run, do_probe); }),
      kind("git.mirror", with.mirror, [world](run_ptr run) { on_threads(world, run, do_mirror); }),
      inside("git.checkout", checkout),
      inside("git.diff", diff),
      inside("git.commit", commit),
      inside("git.save_work", save_work),
      inside("git.restore_work", restore_work),
      inside("git.push", push),
      inside("git.update", update),
      inside("git.abort_update", abort_update),
  };
}

}  // namespace troupe::drivers::git
