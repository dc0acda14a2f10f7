#pragma once

#include <filesystem>

#include "sandboxd/outcome.h"

namespace troupe::sandboxd {

// Removes a folder with all that is in it; gone already is success. Follows no symbolic link. Folders that
// their owner closed to itself (mode 000, as overlays leave them) are opened first. Nothing else may be
// working in it.
outcome<done> remove_tree(const std::filesystem::path& root);

}  // namespace troupe::sandboxd
