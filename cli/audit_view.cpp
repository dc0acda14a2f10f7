#include "cli/audit_view.h"

#include <algorithm>

#include <fmt/format.h>

namespace troupe::cli {

using nlohmann::json;

namespace {

std::string word(const json& entry, const char* name) {
  const auto at = entry.find(name);
  return at != entry.end() && at->is_string() ? plain(at->get<std::string>()) : std::string();
}

/// A value as a person says it: strings without quotes, lists with commas, and what has a state by its state.
std::string words(const json& value) {
  if (value.is_string()) return plain(value.get<std::string>());
  if (!value.is_structured()) return value.dump();
  if (const auto state = value.find("state");
      value.is_object() && state != value.end() && state->is_string()) {
    auto said = plain(state->get<std::string>());
    std::ranges::replace(said, '_', ' ');
    return said;
  }
  std::string text;
  for (const auto& [name, inner] : value.items()) {
    if (inner.is_null() || (inner.is_structured() && inner.empty())) continue;
    if (!text.empty()) text += ", ";
    if (value.is_object()) text += plain(name) + " ";
    text += words(inner);
  }
  return text;
}

/// name=value pairs of a payload, without what is empty.
std::string payload_text(const json& payload) {
  std::string text;
  if (!payload.is_object()) return text;
  for (const auto& [name, value] : payload.items()) {
    // What the caller was answered is in the export; here it would hide what was asked for.
    if (name == "result" || value.is_null() || (value.is_structured() && value.empty())) continue;
    if (!text.empty()) text += "  ";
    text += fmt::format("{}={}", plain(name), words(value));
  }
  return text;
}

}  // namespace

std::string audit_line(const terminal& to, const json& entry, bool place) {
  auto time = local_time(entry.value("time", std::int64_t{0}));
  // The date is worth its place where it is another than today's.
  time = time.substr(0, 10) == local_time(now_ms()).substr(0, 10) ? time.substr(11) : time.substr(5);
  auto where = word(entry, "repository");
  if (const auto branch = word(entry, "branch"); !branch.empty())
    where += (where.empty() ? "" : " ") + branch;
  const bool roomy = to.width() >= 80;
  auto line = fmt::format("{}  {}  {}", to.paint(style::dim, time),
                          padded(cut(word(entry, "principal"), 12), roomy ? 12 : 6),
                          to.paint(style::bold, padded(word(entry, "kind"), roomy ? 27 : 0)));
  const auto payload = payload_text(entry.value("payload", json::object()));
  if (place && !where.empty()) line += "  " + where;
  if (!payload.empty()) line += "  " + to.paint(style::dim, payload);
  line.erase(line.find_last_not_of(' ') + 1);
  return cut(line, to.width());
}

}  // namespace troupe::cli
