// Options that are NAME=VALUE, as JSON.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace troupe::cli {

/// {NAME: VALUE}, and {NAME: {"secret": SECRET}} for NAME=secret:SECRET. Throws misused, naming the option.
nlohmann::json named_values(const std::vector<std::string>& pairs, const std::string& option);

/// Requirements of sandboxes on top of `before`: NAME=VALUE, NAME=VALUE? as best effort, NAME= takes one
/// away.
nlohmann::json requirements(const std::vector<std::string>& pairs, nlohmann::json before);
inline constexpr auto requirements_help =
    "NAME=VALUE of memory_mb, cpu, pids, disk_mb, private_files, pause; a ? at the end: best effort; "
    "repeatable";

/// A number, or null for "none". Throws misused, naming the option.
nlohmann::json number_or_none(const std::string& text, const std::string& option, bool whole);

}  // namespace troupe::cli
