#include "cli/leftovers.h"

#include <fmt/format.h>

#include "cli/terminal.h"

namespace troupe::cli {

using nlohmann::json;

drivers::is_known known_by(ask_rows ask) {
  return [ask = std::move(ask)](const std::string& sandbox, const std::string& life) {
    const auto found = ask(sandbox, "SELECT nonce FROM sandbox WHERE state <> 'destroyed'");
    if (!found) return false;
    const auto& rows = found->at("rows");
    return !rows.empty() && (life.empty() || rows[0][0] == life);
  };
}

std::string leftover_line(const json& one) {
  auto text = one.value("what", "");
  if (one.contains("pid")) text += fmt::format(" {}", one.value("pid", 0));
  text += fmt::format("  {}", plain(one.value("where", "")));
  if (one.contains("sandbox")) text += fmt::format("  of {}", plain(one.value("sandbox", "")));
  return text;
}

}  // namespace troupe::cli
