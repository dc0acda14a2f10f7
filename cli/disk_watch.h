// Tells the capacity actor how much of the data folder's disk is free, so that no sandbox is made on a full
// one.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "net/wire/asio.h"
#include "runtime/host.h"

namespace troupe::cli {

/// Looks at once and every half minute, on the executor; the host outlives it. Destroying it ends it.
class disk_watch {
 public:
  static constexpr std::chrono::seconds every{30};

  disk_watch(wire::executor, host&, std::filesystem::path data,
             std::function<void(std::string_view, std::string_view)> log);
  ~disk_watch();
  disk_watch(const disk_watch&) = delete;
  disk_watch& operator=(const disk_watch&) = delete;

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace troupe::cli
