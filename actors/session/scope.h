// Which later requests an "always" covers, and which of an agent's options means what a person said. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace troupe::actors::sessions {

/// Reading, searching, editing, moving and thinking are covered as a kind; everything else (commands above
/// all) only in exactly the words that were shown.
std::string permission_scope(std::string_view kind, std::string_view title);

/// The option id for allow_once, allow_always or reject, by the options' kinds; their ids and order mean
/// nothing. An agent without "always" is told "once", and we remember; never the other way round.
std::optional<std::string> option_for(const nlohmann::json& options, std::string_view answer);
bool has_option(const nlohmann::json& options, std::string_view id);
/// "allow_once, reject_once", for messages.
std::string option_kinds(const nlohmann::json& options);

}  // namespace troupe::actors::sessions
