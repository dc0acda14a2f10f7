#include "cli/audit_view.h"

#include <fmt/format.h>

namespace troupe::cli {

using nlohmann::json;

namespace {

std::string word(const json& entry, const char* name) {
  const auto at = entry.find(name);
  return at != entry.end() && at->is_string() ? plain(at->get<std::string>()) : std::string();
}

/// name=value pairs of a payload; strings without quotes, so that a line reads like a sentence.
std::string payload_text(const json& payload) {
  std::string text;
  if (!payload.is_object()) return text;
  for (const auto& [name, value] : payload.items()) {
    if (value.is_null() || (value.is_structured() && value.empty())) continue;
    if (!text.empty()) text += "  ";
    text +=
        fmt::format("{}={}", plain(name), plain(value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return text;
}

}  // namespace

std::string audit_line(const terminal& to, const json& entry, bool place) {
  const auto time = local_time(entry.value("time", std::int64_t{0}));
  auto where = word(entry, "repository");
  if (const auto branch = word(entry, "branch"); !branch.empty())
    where += (where.empty() ? "" : " ") + branch;
  auto line = fmt::format("{}  {}  {}", to.paint(style::dim, time.substr(11)),
                          padded(cut(word(entry, "principal"), 12), 12),
                          to.paint(style::bold, padded(word(entry, "kind"), 27)));
  const auto payload = payload_text(entry.value("payload", json::object()));
  if (place && !where.empty()) line += "  " + where;
  if (!payload.empty()) line += "  " + to.paint(style::dim, payload);
  return cut(line, static_cast<std::size_t>(to.width()));
}

}  // namespace troupe::cli
