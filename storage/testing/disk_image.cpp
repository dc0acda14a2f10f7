#include "storage/testing/disk_image.h"

#include <algorithm>

namespace troupe::storage::testing {

disk_image::disk_image(std::string content)
    : there_(true), seen_(std::move(content)), exists_(true), durable_(seen_) {}

void disk_image::happened(const disk_event& e) {
  using kind = disk_event::kind;
  switch (e.is) {
    case kind::created:
      there_ = true;
      seen_.clear();
      if (!exists_) durable_.clear();
      size_dirty_ = true;
      break;
    case kind::written:
      write(e.offset, e.bytes);
      break;
    case kind::truncated:
      seen_.resize(e.offset);
      size_dirty_ = true;
      break;
    case kind::synced:
      sync();
      break;
    case kind::sync_failed:
      // The kernel reports a failed sync once and then takes the data for clean: a later sync does not bring
      // it to the disk.
      forget_dirty();
      break;
    case kind::removed:
      there_ = false;
      seen_.clear();
      forget_dirty();
      break;
    case kind::folder_synced:
      if (!there_) durable_.clear();
      exists_ = there_;
      break;
  }
}

void disk_image::write(std::uint64_t offset, const std::string& bytes) {
  if (seen_.size() < offset + bytes.size()) seen_.resize(offset + bytes.size());
  seen_.replace(offset, bytes.size(), bytes);
  size_dirty_ = true;
  for (auto at = offset / sector; at * sector < offset + bytes.size(); ++at) dirty_.insert(at);
}

void disk_image::sync() {
  exists_ = true;
  if (size_dirty_) durable_.resize(seen_.size());
  for (auto at : dirty_) {
    auto begin = at * sector;
    auto end = std::min({begin + sector, durable_.size(), seen_.size()});
    if (begin < end) durable_.replace(begin, end - begin, seen_, begin, end - begin);
  }
  forget_dirty();
}

void disk_image::forget_dirty() {
  dirty_.clear();
  size_dirty_ = false;
}

std::optional<std::string> disk_image::after_power_cut(std::mt19937_64* random) const {
  auto heads = [&] { return random && ((*random)() & 1) != 0; };
  if (!there_ && (!exists_ || heads())) return std::nullopt;  // never there, or the removal reached the disk
  if (there_ && !exists_ && !heads()) return std::nullopt;
  auto left = exists_ ? durable_ : std::string();
  if (!there_) return left;
  if (seen_.size() < left.size() && heads()) left.resize(seen_.size());
  for (std::uint64_t begin = 0; begin < seen_.size(); begin += sector) {
    auto size = std::min<std::size_t>(sector, seen_.size() - begin);
    if (begin < left.size() && left.compare(begin, size, seen_, begin, size) == 0) continue;
    if (!heads()) continue;
    if (left.size() < begin + size) left.resize(begin + size);
    left.replace(begin, size, seen_, begin, size);
  }
  return left;
}

std::optional<std::string> disk_image::after_kill() const {
  return there_ ? std::optional(seen_) : std::nullopt;
}

}  // namespace troupe::storage::testing
