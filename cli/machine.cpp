#include "cli/machine.h"

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

#include "cli/failure.h"
#include "cli/programs.h"
#include "cli/terminal.h"

namespace troupe::cli {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int probe_seconds = 20;
constexpr std::uint64_t roomy_descriptors = 8192;
// The bounds of the capacity actor, below which it lets no new sandbox be made.
constexpr std::uint64_t least_free_bytes = 2'000'000'000;
constexpr std::uint64_t least_free_percent = 5;

}  // namespace

std::uint64_t raise_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const auto before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}

check check_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  check c{"descriptors", check::outcome::good,
          fmt::format("{} (hard limit {})", limit.rlim_cur, limit.rlim_max), "", ""};
  if (limit.rlim_max < least_descriptors) {
    c.result = check::outcome::bad;
    c.consequence = fmt::format("a server needs at least {}", least_descriptors);
  } else if (limit.rlim_max < roomy_descriptors) {
    c.result = check::outcome::weak;
    c.consequence = "few actors can be awake at once";
  }
  if (c.result != check::outcome::good)
    c.remedy = "raise it: LimitNOFILE= in the unit, or `ulimit -Hn` before the start";
  return c;
}

check check_disk(const fs::path& data) {
  auto at = data.empty() ? fs::current_path() : fs::absolute(data).lexically_normal();
  std::error_code error;
  while (!fs::exists(at, error) && at.has_parent_path() && at != at.parent_path()) at = at.parent_path();
  check c{"disk", check::outcome::good, "", "", ""};
  struct statvfs found {};
  if (::statvfs(at.c_str(), &found) != 0 || found.f_blocks == 0) {
    c.result = check::outcome::weak;
    c.detail = fmt::format("{} does not say how much is free", at.string());
    return c;
  }
  const auto free = static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
  const auto percent = static_cast<std::uint64_t>(found.f_bavail) * 100 / found.f_blocks;
  c.detail = fmt::format("{} free on {} ({} %)", bytes(free), at.string(), percent);
  if (free < least_free_bytes || percent < least_free_percent) {
    c.result = check::outcome::bad;
    c.consequence = "no new sandbox is made";
    c.remedy = fmt::format(
        "free space there, or serve a data folder on another disk (--data); {} and {} % are the least",
        bytes(least_free_bytes), least_free_percent);
  }
  return c;
}

check check_program(const std::string& name, const std::string& consequence) {
  std::istringstream path(std::getenv("PATH") ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');) {
    const auto candidate = fs::path(folder) / name;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) {
      return {name, check::outcome::good, candidate.string(), "", ""};
    }
  }
  return {name, check::outcome::bad, "not in PATH", consequence, "script/bootstrap installs it"};
}

isolation probe_isolation(const std::string& sandboxd) {
  isolation found;
  try {
    const auto program = find_sandboxd(sandboxd);
    const auto ran = run_program({program.string(), "probe", "--json"}, probe_seconds);
    found.report = json::parse(ran.output, nullptr, false);
    if (!found.report.is_object()) {
      found.report = nullptr;
      found.error =
          fmt::format("{} probe --json ended with {} and no report", program.string(), ran.exit_code);
    } else {
      found.tier = found.report.value("tier", "none");
    }
  } catch (const failure& why) {
    found.error = why.what();
  }
  return found;
}

std::vector<check> isolation::checks() const {
  std::vector<check> all;
  if (!report.is_object()) {
    all.push_back({"sandboxes", check::outcome::bad, error, "no task can run",
                   "build and install sandboxd beside troupe"});
    return all;
  }
  const bool none = tier == "none";
  all.push_back({"sandboxes", none ? check::outcome::bad : check::outcome::good, "tier " + tier,
                 none ? "no sandbox is made unless serve is told --unsafe-no-isolation" : "",
                 none ? "see the probes that failed" : ""});
  for (const auto& one : report.value("probes", json::array())) {
    const bool good = one.value("result", "") == "ok";
    auto detail = one.value("detail", "");
    if (const auto error_name = one.value("error", ""); !error_name.empty())
      detail += fmt::format(" ({})", error_name);
    all.push_back({one.value("probe", ""), good ? check::outcome::good : check::outcome::weak, detail,
                   one.value("consequence", ""), one.value("remedy", "")});
  }
  return all;
}

json to_json(const check& c) {
  const char* result = c.result == check::outcome::good   ? "good"
                       : c.result == check::outcome::weak ? "weak"
                                                          : "bad";
  return {{"check", c.name},
          {"result", result},
          {"detail", c.detail},
          {"consequence", c.consequence},
          {"remedy", c.remedy}};
}

}  // namespace troupe::cli
