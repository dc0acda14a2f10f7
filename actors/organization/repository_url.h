// Which addresses a repository may have. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace troupe::actors {

/// Why no repository is added from this; nothing for https and ssh URLs (user@host:path too), file URLs and
/// absolute paths. Whether a path may be read is the git driver's to decide.
std::optional<std::string> url_fault(std::string_view url);

/// A name from the last part of the address: "widgets" for https://example.org/acme/widgets.git.
std::string repository_name_from(std::string_view url);

}  // namespace troupe::actors
