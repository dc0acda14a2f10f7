#include "actors/session/scope.h"

#include <array>

#include "actors/json_read.h"
#include "actors/text.h"

namespace troupe::actors::sessions {
namespace {

constexpr std::array covered_as_a_kind = {"read", "search", "edit", "move", "think"};
constexpr std::size_t max_scope = 500;

std::optional<std::string> of_kind(const nlohmann::json& options, std::string_view kind) {
  for (const auto& o : options)
    if (text_field(o, "kind") == kind) return text_field(o, "optionId");
  return std::nullopt;
}

}  // namespace

std::string permission_scope(std::string_view kind, std::string_view title) {
  for (const auto* known : covered_as_a_kind)
    if (kind == known) return std::string(kind);
  // A cut title would cover more than was shown: its hash keeps it exact.
  auto scope = std::string(kind) + ": ";
  if (title.size() <= max_scope) return scope.append(title);
  return scope + clip(title, max_scope) + " #" + std::to_string(stable_hash(title));
}

std::optional<std::string> option_for(const nlohmann::json& options, std::string_view answer) {
  if (answer == "allow_once") return of_kind(options, "allow_once");
  if (answer == "allow_always") {
    if (auto always = of_kind(options, "allow_always")) return always;
    return of_kind(options, "allow_once");
  }
  if (auto once = of_kind(options, "reject_once")) return once;
  return of_kind(options, "reject_always");
}

bool has_option(const nlohmann::json& options, std::string_view id) {
  for (const auto& o : options)
    if (text_field(o, "optionId") == id) return true;
  return false;
}

std::string option_kinds(const nlohmann::json& options) {
  std::string kinds;
  for (const auto& o : options) {
    if (!kinds.empty()) kinds += ", ";
    kinds += text_field(o, "kind");
  }
  return kinds.empty() ? "nothing" : kinds;
}

}  // namespace troupe::actors::sessions
