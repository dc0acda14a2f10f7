#include "drivers/sandbox/sandbox_items.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace troupe::drivers {
namespace {

using nlohmann::json;

struct promise {
  std::string state = "absent";
  std::string by;
  std::string probe;
};

promise promised(const json& probes, const std::string& item) {
  const auto items = probes.find("items");
  if (items == probes.end() || !items->contains(item)) return {};
  const auto& found = (*items)[item];
  return {found.value("state", "absent"), found.value("by", ""), found.value("probe", "")};
}

// "the probe memory_limit failed (EACCES): …; to change that: …"
std::string because(const json& probes, const std::string& name) {
  for (const auto& probe : probes.value("probes", json::array())) {
    if (probe.value("probe", "") != name) continue;
    if (probe.value("result", "") == "ok") return "the probe " + name + " says so";
    auto text = "the probe " + name + " failed";
    if (const auto error = probe.value("error", ""); !error.empty()) text += " with " + error;
    if (const auto detail = probe.value("detail", ""); !detail.empty()) text += ": " + detail;
    if (const auto remedy = probe.value("remedy", ""); !remedy.empty()) text += "; to change that: " + remedy;
    return text;
  }
  return name.empty() ? "no means for it is built" : "the probe " + name + " was not made";
}

failed cannot(const json& probes, const std::string& item, const std::string& wanted, const promise& p) {
  return unsupported("requirement " + item + (wanted.empty() ? "" : " = " + wanted) +
                     " cannot be enforced here, only " + (p.state == "absent" ? "left out" : "tried") + ": " +
                     because(probes, p.probe) + ". Or mark it best_effort");
}

// Brings one number into its limits and says what became of it. A message instead when it is refused.
template <class T>
std::optional<failed> number(settled& out, const json& probes, const std::string& name,
                             const std::string& unit, const std::optional<requirement<T>>& wanted, T least,
                             T most, T otherwise, bool bare, T& effective) {
  auto p = promised(probes, name);
  if (bare && p.state == "enforced") p.state = "absent";
  item_state item;
  const T asked = wanted ? wanted->value : otherwise;
  const bool strict = wanted && !wanted->best_effort;
  effective = std::clamp(asked, least, most);
  if (wanted) item.wanted = fmt::format("{}{}", asked, unit);
  if (strict && effective != asked)
    return unsupported(
        fmt::format("requirement {} = {}{} is outside of {} to {}{}; a stated requirement is honoured or "
                    "refused, never changed: mark it best_effort to take the nearest",
                    name, asked, unit, least, most, unit));
  if (strict && p.state != "enforced") return cannot(probes, name, item.wanted, p);
  item.state = p.state;
  item.effective = p.state == "absent" ? "" : fmt::format("{}{}", effective, unit);
  if (p.state != "enforced")
    item.why = because(probes, p.probe);
  else
    item.why = "by " + p.by;
  if (wanted && effective != asked) item.why += fmt::format("; {}{} was asked for", asked, unit);
  out.items[name] = std::move(item);
  return {};
}

std::optional<failed> yes_or_no(settled& out, const json& probes, const std::string& name,
                                const std::optional<requirement<bool>>& wanted, bool bare) {
  auto p = promised(probes, name);
  if (bare) p.state = "absent";
  if (wanted && wanted->value && !wanted->best_effort && p.state != "enforced")
    return cannot(probes, name, "", p);
  item_state item;
  item.state = p.state;
  if (wanted) item.wanted = wanted->value ? "yes" : "no";
  item.effective = p.state == "absent" ? "no" : "yes";
  item.why = bare                    ? "the tier none isolates nothing"
             : p.state == "enforced" ? "by " + p.by
                                     : because(probes, p.probe);
  out.items[name] = std::move(item);
  return {};
}

}  // namespace

attempt<settled> settle(const sandbox_requirements& wanted, const local_limits& limits, const json& probes,
                        bool no_isolation) {
  settled out;
  std::optional<failed> wrong;
  auto& l = out.limits;
  if ((wrong = number(out, probes, "memory", " MB", wanted.memory_mb, limits.memory_mb_least,
                      limits.memory_mb_most, limits.memory_mb_default, no_isolation, l.memory_mb)) ||
      (wrong = number(out, probes, "cpu", "", wanted.cpu, limits.cpu_least, limits.cpu_most,
                      limits.cpu_default, no_isolation, l.cpu)) ||
      (wrong = number(out, probes, "pids", "", wanted.pids, limits.pids_least, limits.pids_most,
                      limits.pids_default, no_isolation, l.pids)) ||
      (wrong = number(out, probes, "disk", " MB", wanted.disk_mb, limits.disk_mb_least, limits.disk_mb_most,
                      limits.disk_mb_default, no_isolation, l.disk_mb)) ||
      (wrong = yes_or_no(out, probes, "private_files", wanted.private_files, no_isolation)) ||
      (wrong = yes_or_no(out, probes, "pause", wanted.pause, no_isolation)))
    return *wrong;

  const bool none = wanted.network.value.what == egress_rule::kind::nothing;
  const std::string name = none ? "network_none" : "network_proxy";
  auto p = promised(probes, name);
  if (no_isolation) p.state = "absent";
  const std::string word = none                                                               ? "none"
                           : wanted.network.value.what == egress_rule::kind::public_addresses ? "public"
                                                                                              : "allow";
  if (!wanted.network.best_effort && p.state != "enforced") return cannot(probes, "network", word, p);
  out.items["network"] = {p.state, word, p.state == "enforced" ? word : "open",
                          p.state == "enforced" ? "by " + p.by : because(probes, p.probe)};
  return out;
}

}  // namespace troupe::drivers
