// A real remote, a mirror, and a workspace behind the real daemon, for tests of the git effects.
#pragma once

#include <map>

#include "drivers/git/driver.h"
#include "drivers/git/mirror.h"
#include "tests/drivers/driver_kit.h"
#include "tests/drivers/git_kit.h"

namespace troupe::test {

namespace git = troupe::drivers::git;

inline constexpr auto handle = "local:test";
inline constexpr auto task_folder = "org/acme/task/t1";

struct stage {
  scratch_folder box;
  std::filesystem::path remote = box.path() / "remote", data = box.path() / "data",
                        work = box.path() / "work";
  real_daemon daemon;
  loop net;
  drivers::daemon_client client{net.http(),
                                [this](const std::string& name) -> std::optional<drivers::daemon_address> {
                                  if (name != handle) return std::nullopt;
                                  auto at = daemon.address();
                                  at.workspace = work.string();
                                  at.mirror = git::mirror_folder(data, "acme", "widgets").string();
                                  return at;
                                }};
  git::pool threads{2};
  std::vector<effect_kind> effects =
      git::effects({net.ex(), client, threads, data, {box.path()}, secrets_of()});
  int next = 0;

  std::map<std::string, std::string> secrets;  // of the organization

  drivers::read_secret secrets_of() {
    return [this](std::string_view, std::string_view name) -> std::optional<std::string> {
      const auto at = secrets.find(std::string(name));
      return at == secrets.end() ? std::nullopt : std::optional(at->second);
    };
  }

  stage() {
    std::filesystem::create_directories(data / task_folder);
    make_repository(remote);
  }

  std::shared_ptr<recorded_effect> effect(const std::string& name, json body) {
    return test::start(effects, name, "effect-" + std::to_string(++next), std::move(body));
  }
  json mirror() {
    return effect("git.mirror", {{"org", "acme"}, {"repository", "widgets"}, {"url", remote.string()}})
        ->result();
  }
  json checkout_body(const std::string& branch, bool existing = false, const std::string& base = "main") {
    return {{"handle", handle},
            {"repository", "widgets"},
            {"url", remote.string()},
            {"branch", branch},
            {"base_branch", base},
            {"existing", existing},
            {"author", {{"name", "Ada"}, {"email", "ada@example.org"}}}};
  }
  // Mirrored and checked out on a new branch.
  json ready() {
    mirror();
    return effect("git.checkout", checkout_body("task/one"))->result();
  }
  json diff(const std::string& base) {
    return effect("git.diff", {{"handle", handle}, {"base", base}})->result();
  }
  std::size_t leftovers() {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(work / ".git")) {
      n += entry.path().filename().string().starts_with("troupe-");
    }
    return n;
  }
};

}  // namespace troupe::test
