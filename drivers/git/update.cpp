// git.update and git.abort_update: what others did to a branch is merged in the sandbox, and a merge that
// waits for somebody is given up.
#include "drivers/git/changes.h"
#include "drivers/git/script_run.h"
#include "drivers/git/scripts.h"
#include "drivers/git/workspace.h"

namespace troupe::drivers::git {
namespace {

constexpr std::uint64_t max_unmerged_bytes = 1u << 20;  // as the script cuts the list

}  // namespace

effect_coroutine update(environment_ptr world, run_ptr run) {
  const auto& body = run->body();
  const auto handle = text_field(body, "handle"), from = text_field(body, "from");
  const auto about = "merging `" + from + "`";
  auto place = world->daemons.address(handle);
  if (!place)
    co_return not_found(about + ": there is no sandbox `" + handle + "` any more; make the task a new one");
  const auto& author = field(body, "author");
  const auto folder = "update-" + run->id();
  script what;
  what.text = scripts::update;
  what.arguments = {place->workspace,
                    place->mirror,
                    text_field(body, "branch"),
                    from,
                    text_field(body, "base_branch"),
                    text_field(author, "name"),
                    text_field(author, "email"),
                    folder};
  what.about = about;
  what.key = run->id();
  auto done = co_await run_script(world, handle, std::move(what), run->deadline());
  if (!done) {
    co_await clean_up(world, handle, place->workspace, folder);
    co_return done.error();
  }
  std::string list;
  const std::function<void(std::string_view)> sink = [&list](std::string_view piece) { list += piece; };
  auto read = co_await world->daemons.read_file(handle, done->text("out") + "/unmerged", max_unmerged_bytes,
                                                sink, run->deadline());
  co_await clean_up(world, handle, place->workspace, folder);
  if (!read) co_return read.error();
  const auto state = done->text("state");
  if (state != "current" && state != "merged" && state != "conflicts")
    co_return git_failed(about + ": git did not say what came of it");
  json result = read_unmerged(list);
  result.update({{"state", state},
                 {"head", done->commit("head")},
                 {"base", done->commit("base")},
                 {"commit", done->commit("commit")}});
  co_return result;
}

effect_coroutine abort_update(environment_ptr world, run_ptr run) {
  const auto handle = text_field(run->body(), "handle");
  const std::string about = "giving up the merge";
  auto place = world->daemons.address(handle);
  if (!place)
    co_return not_found(about + ": there is no sandbox `" + handle + "` any more; make the task a new one");
  script what;
  what.text = scripts::abort_update;
  what.arguments = {place->workspace, text_field(run->body(), "base_branch")};
  what.about = about;
  what.key = run->id();
  auto done = co_await run_script(world, handle, std::move(what), run->deadline());
  if (!done) co_return done.error();
  co_return json{{"head", done->commit("head")}, {"base", done->commit("base")}};
}

}  // namespace troupe::drivers::git
