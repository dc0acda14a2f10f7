#include "cli/sandbox_view.h"

#include <fmt/format.h>

namespace troupe::cli {

using nlohmann::json;

std::string sandbox_state(const terminal& to, const std::string& state) {
  if (state == "running") return to.paint(style::green, state);
  if (state == "error" || state == "lost") return to.paint(style::red, state);
  if (state == "creating" || state == "paused") return to.paint(style::yellow, state);
  return to.paint(style::dim, state);
}

std::string promises(const terminal& to, const json& items) {
  std::string out;
  if (!items.is_object()) return out;
  for (const auto& [name, item] : items.items()) {
    if (!item.is_object()) continue;
    const auto state = item.value("state", "");
    const auto mark = state == "enforced"      ? to.paint(style::green, padded("enforced", 12))
                      : state == "best_effort" ? to.paint(style::yellow, padded("best effort", 12))
                                               : to.paint(style::red, padded(plain(state), 12));
    const auto effective = item.value("effective", json());
    auto text = effective.is_null()     ? std::string()
                : effective.is_string() ? effective.get<std::string>()
                                        : effective.dump();
    if (const auto why = item.value("why", std::string()); !why.empty())
      text += (text.empty() ? "" : "  ") + why;
    out += fmt::format("  {} {} {}\n", padded(plain(name), 14), mark, to.paint(style::dim, plain(text)));
  }
  return out;
}

}  // namespace troupe::cli
