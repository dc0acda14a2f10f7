#include "sandboxd/isolation/leftovers.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "sandboxd/isolation/cgroups.h"
#include "sandboxd/isolation/descendants.h"
#include "sandboxd/isolation/reap.h"
#include "sandboxd/isolation/record.h"
#include "sandboxd/isolation/remove_tree.h"

namespace troupe::sandboxd {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What is younger may be in the making.
constexpr std::int64_t settled_seconds = 60;
constexpr std::string_view group_prefix = "sb-";
constexpr std::string_view handle_prefix = "local:";

std::string slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool is_settled(const fs::path& at) {
  struct stat s {};
  return ::lstat(at.c_str(), &s) == 0 && ::time(nullptr) - s.st_mtim.tv_sec >= settled_seconds;
}

bool is_below(const fs::path& folder, const fs::path& what) {
  const auto [f, w] = std::mismatch(folder.begin(), folder.end(), what.begin(), what.end());
  return f == folder.end() && w != what.end();
}

std::vector<std::string> lines_of(const std::string& text, char at) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line, at);) out.push_back(std::move(line));
  return out;
}

std::vector<fs::path> children_of(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code ec;
  for (fs::directory_iterator it(folder, fs::directory_options::skip_permission_denied, ec), end;
       !ec && it != end; it.increment(ec))
    out.push_back(it->path());
  return out;
}

// The intent of the supervisor with that command line: `sandboxd supervise --spec FILE`.
std::optional<fs::path> intent_of(const std::vector<std::string>& argv) {
  if (argv.size() < 4 || fs::path(argv[0]).filename() != "sandboxd" || argv[1] != "supervise") return {};
  const auto spec = std::find(argv.begin(), argv.end(), "--spec");
  if (spec == argv.end() || spec + 1 == argv.end()) return {};
  return *(spec + 1);
}

// Seen as the process sees it, which may have other mounts than this one.
bool is_there(pid_t pid, const fs::path& file) {
  std::error_code ec;
  const auto root = fs::path("/proc") / std::to_string(pid) / "root";
  return fs::exists(root / file.relative_path(), ec) || (ec && fs::exists(file));
}

void add_processes(std::vector<trace>& out) {
  for (const auto& at : children_of("/proc")) {
    const auto name = at.filename().string();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc()) continue;
    const auto intent = intent_of(lines_of(slurp(at / "cmdline"), '\0'));
    if (!intent || is_there(pid, *intent)) continue;
    const auto who = identify(pid);
    if (who && hold(*who)) out.push_back({"process", *intent, "", "", *who});
  }
}

// Wherever the server that made them stood in the hierarchies.
std::vector<fs::path> group_folders() {
  std::vector<fs::path> out;
  std::set<fs::path> seen;
  for (const auto& line : lines_of(slurp("/proc/self/mountinfo"), '\n')) {
    const auto dash = line.find(" - cgroup");
    std::istringstream in(line);
    std::string number, parent, device, root, at;
    if (dash == std::string::npos || !(in >> number >> parent >> device >> root >> at)) continue;
    std::error_code ec;
    for (fs::recursive_directory_iterator it(at, fs::directory_options::skip_permission_denied, ec), end;
         !ec && it != end; it.increment(ec)) {
      if (!it->path().filename().string().starts_with(group_prefix)) continue;
      if (it->path().parent_path().filename() != "troupe" || !it->is_directory(ec)) continue;
      it.disable_recursion_pending();
      if (seen.insert(it->path()).second) out.push_back(it->path());
    }
  }
  return out;
}

bool is_empty_group(const fs::path& folder) {
  return slurp(folder / "cgroup.procs").empty();
}

std::vector<fs::path> sandbox_folders(const fs::path& data) {
  std::vector<fs::path> out;
  for (const auto& org : children_of(data / "org"))
    for (const auto& one : children_of(org / "sandbox")) out.push_back(one);
  return out;
}

// "local:KEY#LIFE"
void name_owner(trace& t, const std::string& handle) {
  const auto hash = handle.rfind('#');
  if (!handle.starts_with(handle_prefix) || hash == std::string::npos) return;
  t.sandbox = handle.substr(handle_prefix.size(), hash - handle_prefix.size());
  t.life = handle.substr(hash + 1);
}

outcome<done> remove_file(const fs::path& file) {
  if (::unlink(file.c_str()) < 0 && errno != ENOENT) return os_error{errno, "removing " + file.string()};
  return done{};
}

outcome<done> remove_group(const fs::path& folder, bool kill) {
  cgroup_hierarchy h;
  h.base = folder.parent_path().parent_path();
  std::error_code ec;
  h.version = fs::exists(folder / "cgroup.events", ec) ? 2 : 1;
  cgroups group({h}, folder.filename());
  if (kill)
    if (auto killed = group.kill(); !killed) return killed;
  return group.remove();
}

outcome<done> remove_process(const trace& t) {
  if (!hold(t.who)) return done{};
  // Their control groups go by name: the record of them went with the folder.
  std::set<std::string> names;
  for (const auto pid : descendants(t.who.pid))
    for (const auto& line : lines_of(slurp("/proc/" + std::to_string(pid) + "/cgroup"), '\n'))
      if (const auto name = fs::path(line).filename().string(); name.starts_with(group_prefix))
        names.insert(name);
  if (!kill_descendants(t.who.pid) || !kill_and_wait(t.who, reap_limit))
    return os_error{EBUSY, "process " + std::to_string(t.who.pid) + " did not die after SIGKILL"};
  for (const auto& folder : group_folders())
    if (names.contains(folder.filename()))
      if (auto removed = remove_group(folder, true); !removed) return removed;
  return done{};
}

outcome<done> remove_sandbox(const trace& t) {
  const auto intent = t.where / "run" / "intent.json";
  std::error_code ec;
  if (!fs::exists(intent, ec)) return done{};
  auto spec = read_spec(intent);
  if (auto* wrong = std::get_if<std::string>(&spec)) return os_error{EINVAL, intent.string() + ": " + *wrong};
  if (std::get<sandbox_spec>(spec).key != t.sandbox || std::get<sandbox_spec>(spec).folder != t.where)
    return os_error{EINVAL, intent.string() + ": it is that of another sandbox by now"};
  auto gone = reap(std::get<sandbox_spec>(spec), true);
  if (!gone) return gone.error();
  return done{};
}

outcome<done> remove_folder(const fs::path& folder) {
  for (const auto* part : {"work", "home", "net", "run"})
    if (auto removed = remove_tree(folder / part); !removed) return removed;
  ::rmdir(folder.c_str());  // stays while it holds what is not ours
  return done{};
}

}  // namespace

json to_json(const trace& t) {
  json out{{"what", t.what}, {"where", t.where.string()}};
  if (!t.sandbox.empty()) out["sandbox"] = t.sandbox;
  if (!t.life.empty()) out["life"] = t.life;
  if (t.who.pid > 0) out.update({{"pid", t.who.pid}, {"started", t.who.started}, {"boot", t.who.boot}});
  return out;
}

trace trace_from_json(const json& j) {
  return {j.value("what", ""),
          j.value("where", ""),
          j.value("sandbox", ""),
          j.value("life", ""),
          {j.value("pid", pid_t{0}), j.value("started", std::uint64_t{0}), j.value("boot", "")}};
}

std::vector<trace> find_traces(const fs::path& data) {
  // Intents last: what one of them names was made after it, and is found to have an owner.
  std::vector<trace> out, unnamed;
  for (const auto& line : lines_of(slurp("/proc/self/mountinfo"), '\n')) {
    std::istringstream in(line);
    std::string number, parent, device, root, at;
    in >> number >> parent >> device >> root >> at;
    for (const auto& folder : sandbox_folders(data))
      if (is_below(folder, at)) out.push_back({"mount", at, fs::relative(folder, data).string(), "", {}});
  }
  add_processes(out);
  for (const auto& folder : group_folders())
    if (is_empty_group(folder) && is_settled(folder)) unnamed.push_back({"group", folder, "", "", {}});
  for (const auto& file : children_of(data / "sockets"))
    if (file.extension() == ".sock" && is_settled(file)) unnamed.push_back({"socket", file, "", "", {}});
  for (const auto& file : children_of(data / "sandbox-uids"))
    if (is_settled(file)) {
      trace claim{"claim", file, "", "", {}};
      name_owner(claim, slurp(file));
      out.push_back(std::move(claim));
    }
  std::set<std::string> names;
  std::error_code ec;
  for (const auto& folder : sandbox_folders(data)) {
    const auto text = json::parse(slurp(folder / "run" / "intent.json"), nullptr, false);
    if (text.is_object()) {
      names.insert(text.value("nonce", ""));
      out.push_back({"sandbox", folder, text.value("key", ""), text.value("life", ""), {}});
    } else if (fs::exists(folder / "work", ec) || fs::exists(folder / "run", ec)) {
      out.push_back({"folder", folder, fs::relative(folder, data).string(), "", {}});
    }
  }
  for (auto& t : unnamed) {
    const auto name = t.where.filename().string();
    const auto owner = t.what == "group" ? name.substr(group_prefix.size()) : t.where.stem().string();
    if (!names.contains(owner)) out.push_back(std::move(t));
  }
  // In the order in which they can be removed: whatever is mounted first, the claim on a uid after its files.
  constexpr std::string_view order[] = {"process", "mount", "sandbox", "folder", "socket", "group", "claim"};
  std::ranges::stable_sort(out, {}, [&](const trace& t) { return std::ranges::find(order, t.what) - order; });
  return out;
}

outcome<done> remove_trace(const trace& t) {
  if (t.what == "process") return remove_process(t);
  if (t.what == "sandbox") return remove_sandbox(t);
  if (t.what == "folder") return remove_folder(t.where);
  if (t.what == "socket" || t.what == "claim") return remove_file(t.where);
  if (t.what == "group")
    return is_empty_group(t.where) ? remove_group(t.where, false) : outcome<done>(done{});
  if (t.what == "mount") {
    if (::umount2(t.where.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
      return os_error{errno, "unmounting " + t.where.string()};
    return done{};
  }
  return os_error{EINVAL, "removing " + t.where.string() + ": nothing of the kind " + t.what + " is known"};
}

}  // namespace troupe::sandboxd
