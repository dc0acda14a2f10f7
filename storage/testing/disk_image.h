// One file as its process sees it, and what of it a disk holds for certain. Knows no file system: it is told
// each event, and answers what a machine could find after a power cut.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "storage/testing/disk_event.h"

namespace troupe::storage::testing {

class disk_image {
 public:
  static constexpr std::size_t sector = 512;

  disk_image() = default;                    // no such file
  explicit disk_image(std::string content);  // there, and on the disk

  void happened(const disk_event&);
  bool there() const { return there_; }

  // The file that the disk has: each sector that differs is new or old by the dice; `random` null: old.
  // nullopt: none.
  std::optional<std::string> after_power_cut(std::mt19937_64* random) const;
  // What a killed process leaves: the system still has all that was written.
  std::optional<std::string> after_kill() const;

 private:
  void write(std::uint64_t offset, const std::string&);
  void sync();
  void forget_dirty();

  bool there_ = false;
  std::string seen_;
  bool exists_ = false;  // on the disk
  std::string durable_;
  std::set<std::uint64_t> dirty_;  // sectors written since the last sync
  bool size_dirty_ = false;
};

}  // namespace troupe::storage::testing
