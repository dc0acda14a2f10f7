// The runtime's own tables in every actor's file, beside the kind's. Their names begin with rt_.
#pragma once

#include <span>

#include "storage/database.h"

namespace troupe {

std::span<const storage::migration> runtime_tables();
std::span<const storage::migration> directory_tables();

inline constexpr std::string_view runtime_prefix = "rt_";

}  // namespace troupe
