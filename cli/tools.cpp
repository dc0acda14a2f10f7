#include "cli/tools.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "cli/failure.h"
#include "cli/programs.h"

namespace troupe::cli {

namespace fs = std::filesystem;

namespace {

constexpr int npm_seconds = 900;
constexpr int node_seconds = 10;
constexpr const char* current = "current";

fs::path home() {
  if (const char* set = std::getenv("HOME"); set && *set) return set;
  const auto* user = ::getpwuid(::geteuid());
  if (!user) throw failure("this user has no home folder", "name the folder of tools with --tools");
  return user->pw_dir;
}

void must(const std::error_code& error, const std::string& what) {
  if (error) throw failure(fmt::format("cannot {}: {}", what, error.message()));
}

/// Held until the end of the block; waits for whoever has it.
class lock {
 public:
  explicit lock(const fs::path& folder)
      : fd_(::open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0 || ::flock(fd_, LOCK_EX) != 0)
      throw failure(fmt::format("cannot lock {}: {}", folder.string(), std::strerror(errno)));
  }
  ~lock() { ::close(fd_); }
  lock(const lock&) = delete;
  lock& operator=(const lock&) = delete;

 private:
  int fd_;
};

void npm(const fs::path& into, const std::vector<agents::npm_package>& packages) {
  std::vector<std::string> argv{"npm",       "install",       "--ignore-scripts",     "--no-audit",
                                "--no-fund", "--no-progress", "--no-update-notifier", "--loglevel=error",
                                "--prefix",  into.string()};
  for (const auto& one : packages) argv.push_back(one.name + "@" + one.version);
  run_result ran;
  try {
    ran = run_program(argv, npm_seconds);
  } catch (const failure& why) {
    throw failure(why.what(),
                  "agents come from npm: install it (apt-get install npm), and look at the network");
  }
  if (ran.exit_code != 0) {
    throw failure(fmt::format("npm could not install {} (exit code {}); its words stand above", argv.back(),
                              ran.exit_code),
                  "is the registry reachable, and is there room? npm ping; df -h");
  }
}

/// All but the new one and the one before it, which agents may still run from.
void prune(const fs::path& folder, const std::string& now, const std::string& before) {
  std::error_code error;
  std::vector<fs::path> old;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    if (name != now && name != before && name != current) old.push_back(at->path());
  }
  for (const auto& one : old) fs::remove_all(one, error);
}

}  // namespace

fs::path tools_folder(const std::string& given) {
  if (!given.empty()) return fs::absolute(given);
  if (const char* set = std::getenv("TROUPE_TOOLS"); set && *set) return fs::absolute(set);
  if (const char* set = std::getenv("XDG_DATA_HOME"); set && *set) return fs::path(set) / "troupe" / "tools";
  return home() / ".local" / "share" / "troupe" / "tools";
}

std::optional<std::string> installed_version(const fs::path& tools, const std::string& name) {
  std::error_code error;
  const auto to = fs::read_symlink(tools / agents::current_folder(name), error);
  if (error || !fs::is_directory(tools / name / to, error)) return std::nullopt;
  return to.string();
}

int system_node() {
  // The folders that a sandbox's PATH has, whatever ours is.
  for (const char* at : {"/usr/local/bin/node", "/usr/bin/node"}) {
    if (::access(at, X_OK) != 0) continue;
    const auto said = run_program({at, "--version"}, node_seconds).output;  // "v20.20.2"
    int major = 0;
    if (said.size() > 1 && said[0] == 'v') std::from_chars(said.data() + 1, said.data() + said.size(), major);
    return major;
  }
  return 0;
}

std::optional<std::string> node_for(const fs::path& tools, const agents::description& agent) {
  if (auto own = installed_version(tools, "node")) return own;
  const int there = system_node();
  if (there < agent.node) return std::nullopt;
  return fmt::format("{} of the system", there);
}

to_install installation_of(const agents::description& agent, const std::string& version) {
  to_install out{agent.id, version.empty() ? agent.version() : version, agent.packages,
                 agent.package_programs};
  if (!out.packages.empty()) out.packages.front().version = out.version;
  return out;
}

to_install installation_of(const agents::node_release& node) {
  return {"node", node.package.version, {node.package}, {node.program}};
}

void install(const fs::path& tools, const to_install& what) {
  ::umask(022);  // sandboxes read it under other users
  std::error_code error;
  const auto folder = tools / what.name;
  fs::create_directories(folder, error);
  must(error, "make the folder " + folder.string());
  const lock held(tools);
  const auto draft = folder / (what.version + ".draft"), done = folder / what.version;
  fs::remove_all(draft, error);
  fs::create_directory(draft, error);
  must(error, "make the folder " + draft.string());
  try {
    npm(draft, what.packages);
    const bool whole = std::ranges::any_of(
        what.programs, [&](const auto& one) { return ::access((draft / one).c_str(), X_OK) == 0; });
    if (!whole) {
      throw failure(fmt::format("npm installed {}, but none of its programs is there ({})",
                                what.packages.front().name, fmt::join(what.programs, ", ")),
                    "that version may be laid out differently, or have nothing for this machine");
    }
  } catch (const failure&) {
    fs::remove_all(draft, error);
    throw;
  }
  const auto before = installed_version(tools, what.name);
  if (before == what.version) {
    // The same once more: out of the way first, so that at any instant one of the two is whole.
    fs::remove_all(folder / (what.version + ".old"), error);
    fs::rename(done, folder / (what.version + ".old"), error);
    must(error, "put aside " + done.string());
  } else {
    fs::remove_all(done, error);
  }
  fs::rename(draft, done, error);
  must(error, "rename " + draft.string());
  const auto link = folder / ".current";
  fs::remove(link, error);
  fs::create_directory_symlink(what.version, link, error);
  if (!error) fs::rename(link, folder / current, error);
  must(error, "make the link " + (folder / current).string());
  prune(folder, what.version, before.value_or(""));
}

}  // namespace troupe::cli
