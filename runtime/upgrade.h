// What happens to a data folder before a program with newer tables works on it for the first time.
#pragma once

#include <filesystem>

namespace troupe {

class host;

/// Copies of a folder that are kept, the newest; each is a backup (runtime/backup.h) below
/// DATA/before-upgrade.
inline constexpr std::size_t kept_before_upgrade = 2;
std::filesystem::path before_upgrade(const std::filesystem::path& data);

/// Before any actor is woken. Does nothing when the tables are those of the last start; makes a backup when
/// files are to be migrated; throws storage::error (newer_schema) when a newer program has been at work here,
/// and whatever a backup throws: then nothing was changed. Logs in the area "upgrade".
void prepare_upgrade(host&);

}  // namespace troupe
