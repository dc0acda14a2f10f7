#include "runtime/compact.h"

#include "runtime/data_lock.h"
#include "runtime/verify.h"
#include "storage/database.h"

namespace troupe {

namespace fs = std::filesystem;

compact_result compact(const fs::path& data, const compact_options& o) {
  if (!fs::exists(data / "host.sqlite")) {
    throw storage::error(storage::failure::missing, 0, data,
                         data.string() + " is no data folder: it has no host.sqlite");
  }
  const data_lock lock(data);
  std::vector<fs::path> files{data / "host.sqlite"};
  for (const auto& k : actors_in(data, o.kinds)) files.push_back(data / k.str() / "actor.sqlite");
  compact_result r;
  for (const auto& file : files) {
    if (o.progress && !o.progress(r.files, files.size())) break;
    ++r.files;
    std::int64_t before = 0;
    try {
      storage::database db(file, {.create = false});
      before = db.file_size();
      db.compact();
      const auto after = db.file_size();
      r.before += static_cast<std::uintmax_t>(before);
      r.after += static_cast<std::uintmax_t>(after);
      if (after < before) ++r.smaller;
    } catch (const storage::error& e) {
      using storage::failure;
      if (e.kind() != failure::corrupt && e.kind() != failure::newer_schema && e.kind() != failure::misuse)
        throw;
      r.left.emplace_back(e.what());
    }
  }
  return r;
}

}  // namespace troupe
