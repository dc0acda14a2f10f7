#include "storage/testing/disk_image.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <system_error>

namespace troupe::storage::testing {

disk_image::disk_image(std::filesystem::path file) : file_(std::move(file)) {
  exists_ = std::filesystem::exists(file_);
  if (exists_) durable_ = on_file_system();
}

std::string disk_image::on_file_system() const {
  std::ostringstream out;
  out << std::ifstream(file_, std::ios::binary).rdbuf();
  return std::move(out).str();
}

void disk_image::written(std::uint64_t offset, std::uint64_t size) {
  size_dirty_ = true;
  for (auto at = offset / sector; at * sector < offset + size; ++at) dirty_.insert(at);
}

void disk_image::truncated() {
  size_dirty_ = true;
}

void disk_image::synced() {
  exists_ = true;
  if (size_dirty_) durable_.resize(std::filesystem::file_size(file_));
  std::ifstream now(file_, std::ios::binary);
  for (auto at : dirty_) {
    auto begin = at * sector;
    if (begin >= durable_.size()) continue;
    now.seekg(static_cast<std::streamoff>(begin));
    now.read(durable_.data() + begin,
             static_cast<std::streamsize>(std::min(sector, durable_.size() - begin)));
  }
  dirty_.clear();
  size_dirty_ = false;
}

void disk_image::sync_failed() {
  dirty_.clear();
  size_dirty_ = false;
}

void disk_image::created() {
  if (!exists_) durable_.clear();
  size_dirty_ = true;
}

void disk_image::removed() {
  dirty_.clear();
  size_dirty_ = false;
}

void disk_image::folder_synced() {
  bool there = std::filesystem::exists(file_);
  if (!there) durable_.clear();
  exists_ = there;
}

void disk_image::after_power_cut(std::mt19937_64* random) {
  auto heads = [&] { return random && ((*random)() & 1) != 0; };
  bool there = std::filesystem::exists(file_);
  auto seen = there ? on_file_system() : std::string();
  dirty_.clear();
  size_dirty_ = false;
  if (!there && exists_ && heads()) exists_ = false;  // the removal reached the disk
  if (there && !exists_) {
    exists_ = heads();
    durable_.clear();
  }
  if (!exists_) {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
    durable_.clear();
    return;
  }
  if (there) {
    if (seen.size() < durable_.size() && heads()) durable_.resize(seen.size());
    for (std::uint64_t begin = 0; begin < seen.size(); begin += sector) {
      auto size = std::min<std::size_t>(sector, seen.size() - begin);
      if (begin < durable_.size() && durable_.compare(begin, size, seen, begin, size) == 0) continue;
      if (!heads()) continue;
      if (durable_.size() < begin + size) durable_.resize(begin + size);
      durable_.replace(begin, size, seen, begin, size);
    }
  }
  std::ofstream(file_, std::ios::binary | std::ios::trunc)
      .write(durable_.data(), static_cast<std::streamsize>(durable_.size()));
}

}  // namespace troupe::storage::testing
