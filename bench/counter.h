// The actor that the benchmarks use, and the rows that its turn writes.
#pragma once

#include <filesystem>

#include "runtime/kind.h"
#include "storage/database.h"

namespace troupe::bench {

/// One number. `counter.open` from the host makes it, `counter.add` from clients adds to it, `counter.pass`
/// sends an add to another one through the outbox, `counter.later` is an add in the background lane,
/// `counter.read` the query. `recording`: with the rows that each command changed.
const kind& counter(bool recording = true);

/// The same rows as a turn of `commands` times counter.add leaves, written without a runtime.
class plain_counter {
 public:
  plain_counter(const std::filesystem::path& file, storage::durability, bool recording = true);
  void turn(int commands);

 private:
  storage::database db_;
  const bool recording_;
  std::int64_t number_ = 0;
  std::int64_t command_ = 0;
};

}  // namespace troupe::bench
