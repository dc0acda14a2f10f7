// What the disk under one file holds for certain, beside the file as the process sees it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <random>
#include <set>
#include <string>

namespace troupe::storage::testing {

class disk_image {
 public:
  static constexpr std::size_t sector = 512;

  explicit disk_image(std::filesystem::path file);  // a file that exists now counts as synced

  void written(std::uint64_t offset, std::uint64_t size);
  void truncated();
  void synced();
  // The kernel reports a failed sync once and then takes the data for clean: a later sync does not bring it
  // to the disk.
  void sync_failed();
  void created();  // exists, not yet on the disk
  void removed();  // from the folder, not yet on the disk
  void folder_synced();

  // Puts on the file system what the disk has: each sector that differs is new or old by the dice; `random`
  // null: old.
  void after_power_cut(std::mt19937_64* random);

 private:
  std::string on_file_system() const;

  std::filesystem::path file_;
  bool exists_ = false;  // on the disk
  std::string durable_;
  std::set<std::uint64_t> dirty_;  // sectors written since the last sync
  bool size_dirty_ = false;
};

}  // namespace troupe::storage::testing
