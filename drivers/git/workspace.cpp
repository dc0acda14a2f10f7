#include "drivers/git/workspace.h"

#include "drivers/git/changes.h"
#include "drivers/git/script_run.h"
#include "drivers/git/scripts.h"
#include "drivers/git/url.h"

namespace troupe::drivers::git {
namespace {

constexpr std::size_t max_message_bytes = 64u << 10;
constexpr std::uint64_t max_list_bytes = 8u << 20;    // of each list of names, as the scripts cut them
constexpr std::uint64_t max_patch_bytes = 64u << 20;  // likewise

struct author {
  std::string name, email;
  static author of(const json& body) {
    const auto& given = field(body, "author");
    return {text_field(given, "name"), text_field(given, "email")};
  }
};

attempt<daemon_address> place_of(const environment& world, const std::string& handle,
                                 const std::string& about) {
  auto found = world.daemons.address(handle);
  if (!found)
    return not_found(about + ": there is no sandbox `" + handle + "` any more; make the task a new one");
  return std::move(*found);
}

}  // namespace

effect_coroutine checkout(environment_ptr world, run_ptr run) {
  const auto& body = run->body();
  const auto handle = text_field(body, "handle");
  const auto branch = text_field(body, "branch");
  const auto who = author::of(body);
  const auto about = "checking out branch `" + branch + "`";
  auto place = place_of(*world, handle, about);
  if (!place) co_return place.error();
  // What the sandbox gets to see of the URL has been checked, and holds no password.
  auto url = parse_url(text_field(body, "url"), world->repository_roots);
  if (!url) co_return url.error();

  script what;
  what.text = scripts::checkout;
  what.arguments = {place->workspace,
                    place->mirror,
                    url->text,
                    branch,
                    text_field(body, "base_branch"),
                    body.value("existing", false) ? "1" : "0",
                    who.name,
                    who.email};
  what.about = about;
  what.key = run->id();
  auto done = co_await run_script(world, handle, std::move(what), run->deadline());
  if (!done) co_return done.error();
  const auto head = done->commit("head");
  co_return json{{"head", head.empty() ? json(nullptr) : json(head)},
                 {"base", done->commit("base")},
                 {"created", done->text("created") == "true"},
                 {"path", place->workspace}};
}

effect_coroutine diff(environment_ptr world, run_ptr run) {
  const auto handle = text_field(run->body(), "handle");
  const auto base = text_field(run->body(), "base");
  if (!is_commit_id(base)) co_return invalid("comparing with `" + base + "`: it is not a commit id");
  const std::string about = "reading the changes";
  auto place = place_of(*world, handle, about);
  if (!place) co_return place.error();
  const auto folder = "diff-" + run->id();

  script what;
  what.text = scripts::diff;
  what.arguments = {place->workspace, base, folder};
  what.about = about;
  auto done = co_await run_script(world, handle, std::move(what), run->deadline());
  if (!done) co_return done.error();

  const auto out = done->text("out");
  const auto deadline = run->deadline();
  std::string raw, numstat, untracked, unmerged;
  const auto fetch = [&](const char* name, std::string& into) {
    return world->daemons.read_file(
        handle, out + "/" + name, max_list_bytes, [&into](std::string_view piece) { into += piece; },
        deadline);
  };
  auto got = co_await fetch("raw", raw);
  if (got) got = co_await fetch("numstat", numstat);
  if (got) got = co_await fetch("untracked", untracked);
  if (got) got = co_await fetch("unmerged", unmerged);
  if (!got) co_return got.error();
  patch_reader patch(read_changes(raw, numstat));
  std::uint64_t bytes = 0;
  // Named, because GCC 12 destroys a closure twice that is a temporary of a co_await expression.
  const std::function<void(std::string_view)> sink = [&](std::string_view piece) {
    bytes += piece.size();
    patch.feed(piece);
  };
  auto longer = co_await world->daemons.read_file(handle, out + "/patch", max_patch_bytes, sink, deadline);
  if (!longer) co_return longer.error();
  patch.finish(!*longer && bytes < max_patch_bytes);
  co_await clean_up(world, handle, place->workspace, folder);
  auto result = diff_result(patch, read_names(untracked), done->commit("head"), done->text("dirty") == "1");
  if (const auto merging = done->commit("merge"); !merging.empty()) {
    result["merge"] = read_unmerged(unmerged);
    result["merge"]["commit"] = merging;
  }
  co_return result;
}

effect_coroutine commit(environment_ptr world, run_ptr run) {
  const auto handle = text_field(run->body(), "handle");
  auto message = text_field(run->body(), "message");
  const auto who = author::of(run->body());
  const std::string about = "committing";
  if (message.size() > max_message_bytes) co_return invalid("committing: the message is longer than 64 KiB");
  if (message.find('\0') != std::string::npos)
    co_return invalid("committing: the message has a zero byte in it");
  auto place = place_of(*world, handle, about);
  if (!place) co_return place.error();
  script what;
  what.text = scripts::commit;
  what.arguments = {place->workspace, std::move(message), who.name, who.email};
  what.about = about;
  what.key = run->id();
  auto done = co_await run_script(world, handle, std::move(what), run->deadline());
  if (!done) co_return done.error();
  const auto made = done->commit("commit");
  co_return json{{"commit", made.empty() ? json(nullptr) : json(made)}, {"files", done->number("files")}};
}

}  // namespace troupe::drivers::git
