// Goes through the record of a run and leaves, at any step of it, the files that a machine would find there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "storage/testing/disk_event.h"
#include "storage/testing/disk_image.h"

namespace troupe::storage::testing {

enum class ending {
  killed,      // the process alone: the system keeps what was written
  power_lost,  // exactly what was synced is left
  power_torn,  // and an arbitrary part, in sectors, of what was not
};

class disk_player {
 public:
  explicit disk_player(const disk_record&);  // borrowed

  std::size_t at() const { return at_; }  // events that have happened
  bool step();                            // false: there are no more
  // Clears `folder` and puts there what belongs into it; files of the record outside of it are left out.
  // `seed` is for power_torn.
  void leave(const std::filesystem::path& folder, ending, std::uint64_t seed) const;

 private:
  const disk_record& record_;
  std::vector<disk_image> images_;
  std::size_t at_ = 0;
};

}  // namespace troupe::storage::testing
