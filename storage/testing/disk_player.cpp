#include "storage/testing/disk_player.h"

#include <fstream>

namespace troupe::storage::testing {

namespace fs = std::filesystem;

disk_player::disk_player(const disk_record& r) : record_(r) {
  for (auto& f : r.files) images_.push_back(f.before ? disk_image(*f.before) : disk_image());
}

bool disk_player::step() {
  if (at_ == record_.events.size()) return false;
  auto& [file, event] = record_.events[at_++];
  images_[file].happened(event);
  return true;
}

void disk_player::leave(const fs::path& folder, ending how, std::uint64_t seed) const {
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::mt19937_64 random(seed);
  const auto inside = folder.native() + "/";
  for (std::size_t n = 0; n < images_.size(); ++n) {
    const fs::path path = record_.files[n].path;
    if (!path.native().starts_with(inside)) continue;
    const auto left = how == ending::killed
                          ? images_[n].after_kill()
                          : images_[n].after_power_cut(how == ending::power_torn ? &random : nullptr);
    if (!left) continue;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << *left;
  }
}

}  // namespace troupe::storage::testing
