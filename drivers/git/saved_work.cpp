// git.save_work and git.restore_work: the work of a task as a bundle in the task's folder, out of the sandbox
// and back.
#include <algorithm>
#include <fstream>

#include "drivers/git/bundle.h"
#include "drivers/git/part_file.h"
#include "drivers/git/script_run.h"
#include "drivers/git/scripts.h"
#include "drivers/git/workspace.h"

namespace troupe::drivers::git {
namespace {

namespace fs = std::filesystem;

constexpr auto wip_reference = "refs/troupe/wip";
constexpr std::size_t kept_bundles =
    2;  // the newest, and the one before, in case the newest turns out useless
constexpr std::string_view bundle_prefix = "work-";
constexpr std::string_view bundle_suffix = ".bundle";

bool is_bundle_name(std::string_view name) {
  return name.starts_with(bundle_prefix) && name.ends_with(bundle_suffix) &&
         is_commit_id(
             name.substr(bundle_prefix.size(), name.size() - bundle_prefix.size() - bundle_suffix.size()));
}

void drop_old_bundles(const fs::path& folder, const fs::path& newest) {
  std::error_code ec;
  std::vector<std::pair<fs::file_time_type, fs::path>> others;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    if (entry.path() != newest && is_bundle_name(entry.path().filename().string())) {
      others.emplace_back(entry.last_write_time(ec), entry.path());
    }
  }
  std::sort(others.rbegin(), others.rend());
  for (auto i = kept_bundles - 1; i < others.size(); ++i) fs::remove(others[i].second, ec);
}

std::string folder_name(const effect_run& run, const char* what) {
  return what + run.id();
}

}  // namespace

effect_coroutine save_work(environment_ptr world, run_ptr run) {
  const auto handle = text_field(run->body(), "handle");
  const auto base = text_field(run->body(), "base");
  const std::string about = "saving the work";
  if (!is_commit_id(base)) co_return invalid(about + ": the base `" + base + "` is not a commit id");
  auto place = world->daemons.address(handle);
  if (!place) co_return not_found(about + ": there is no sandbox `" + handle + "` any more");
  const auto folder = folder_name(*run, "save-");
  script what;
  what.text = scripts::save;
  what.arguments = {place->workspace, base, folder};
  what.about = about;
  auto done = co_await run_script(world, handle, std::move(what), run->deadline());
  if (!done) co_return done.error();
  const auto commit = done->commit("commit");
  if (commit.empty()) co_return git_failed(about + ": git named no commit");

  const auto home = world->data / run->actor().str();
  const auto name = std::string(bundle_prefix) + commit + std::string(bundle_suffix);
  const auto part = std::make_shared<part_file>(home / ("." + name + ".part"));
  std::uint64_t bytes = 0;
  // Named, both of these: GCC 12 destroys a closure twice that is a temporary of a co_await expression.
  const std::function<void(std::string_view)> sink = [&bytes, part](std::string_view piece) {
    bytes += piece.size();
    part->write(piece);
  };
  auto longer = co_await world->daemons.read_file(handle, done->text("out") + "/bundle", max_bundle_bytes,
                                                  sink, run->deadline());
  co_await clean_up(world, handle, place->workspace, folder);
  if (!longer) co_return longer.error();
  if (*longer) {
    co_return quota(about +
                    ": it is larger than 1 GiB; commit less, or keep large files out of the repository");
  }
  if (part->failed_to_write()) co_return part->why(about);

  // What the sandbox said about the bundle counts for nothing; what it holds does.
  const auto keep = [part, home, name, commit, about]() -> attempt<bool> {
    auto header = verify_bundle(part->path());
    if (!header) return header.error();
    if (header->find(wip_reference) != commit)
      return git_failed(about + ": the bundle does not hold the commit " + commit);
    part->keep_as(home / name);
    if (part->failed_to_write()) return part->why(about);
    drop_old_bundles(home, home / name);
    return true;
  };
  auto kept = co_await on_pool(world->threads, keep);
  if (!kept) co_return transport(about + ": too much is going on in the server");
  if (!*kept) co_return kept->error();
  co_return json{{"commit", commit}, {"bundle", name}, {"bytes", bytes}};
}

effect_coroutine restore_work(environment_ptr world, run_ptr run) {
  const auto handle = text_field(run->body(), "handle");
  const auto name = text_field(run->body(), "bundle");
  const std::string about = "restoring the work";
  if (!is_bundle_name(name)) co_return invalid(about + ": `" + name + "` is not the name of a bundle");
  auto place = world->daemons.address(handle);
  if (!place) co_return not_found(about + ": there is no sandbox `" + handle + "` any more");
  const auto file = world->data / run->actor().str() / name;
  std::error_code ec;
  const auto size = fs::file_size(file, ec);
  if (ec)
    co_return git_failed(about + ": the bundle " + name + " is not in the task's folder (" + ec.message() +
                         ")");

  // In pieces that every daemon takes; they are joined inside.
  const auto folder = folder_name(*run, "restore-");
  const auto inside = place->workspace + "/.git/troupe-" + folder + "/";
  std::ifstream in(file, std::ios::binary);
  int pieces = 0;
  for (std::uint64_t left = size; left > 0;) {
    std::string piece(std::min<std::uint64_t>(left, max_put_bytes), '\0');
    if (!in.read(piece.data(), static_cast<std::streamsize>(piece.size()))) {
      co_return git_failed(about + ": reading the bundle " + name + " failed");
    }
    left -= piece.size();
    auto put = co_await world->daemons.write_file(handle, inside + std::to_string(++pieces), std::move(piece),
                                                  run->deadline());
    if (!put) co_return put.error();
  }
  script what;
  what.text = scripts::restore;
  what.arguments = {place->workspace, place->mirror, folder, std::to_string(pieces)};
  what.about = about;
  what.key = run->id();
  auto done = co_await run_script(world, handle, std::move(what), run->deadline());
  if (!done) co_return done.error();
  const auto commit = done->commit("commit");
  if (name.find(commit) == std::string::npos || commit.empty()) {
    co_return git_failed(about + ": the bundle " + name + " held another commit (" + commit + ")");
  }
  co_return json{{"commit", commit}};
}

}  // namespace troupe::drivers::git
