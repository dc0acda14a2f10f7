#include "cli/disk_watch.h"

#include <sys/statvfs.h>

#include <cstring>
#include <mutex>

#include <fmt/format.h>

namespace troupe::cli {

struct disk_watch::state : std::enable_shared_from_this<state> {
  state(wire::executor ex, host& h, std::filesystem::path d,
        std::function<void(std::string_view, std::string_view)> l)
      : owner(&h), data(std::move(d)), log(std::move(l)), timer(wire::asio::make_strand(ex)) {}

  void look() {
    const std::lock_guard lock(mutex);
    if (!owner) return;
    struct statvfs found {};
    if (::statvfs(data.c_str(), &found) != 0) {
      if (log)
        log("disk", fmt::format("{} does not say how much is free: {}", data.string(), std::strerror(errno)));
    } else {
      const auto unit = static_cast<std::uint64_t>(found.f_frsize);
      owner->command_as_host(key("capacity"), "capacity.report_disk",
                             {{"free_bytes", found.f_bavail * unit}, {"total_bytes", found.f_blocks * unit}},
                             "disk " + random_ids().next(system_clock().now()), [](const reply&) {});
    }
    timer.expires_after(every);
    timer.async_wait([self = shared_from_this()](const auto& ended) {
      if (!ended) self->look();
    });
  }

  std::mutex mutex;
  host* owner;  // null once the watch has ended
  std::filesystem::path data;
  std::function<void(std::string_view, std::string_view)> log;
  wire::asio::steady_timer timer;
};

disk_watch::disk_watch(wire::executor ex, host& h, std::filesystem::path data,
                       std::function<void(std::string_view, std::string_view)> log)
    : state_(std::make_shared<state>(std::move(ex), h, std::move(data), std::move(log))) {
  state_->look();
}

disk_watch::~disk_watch() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->owner = nullptr;
  }
  wire::asio::post(state_->timer.get_executor(), [s = state_] { s->timer.cancel(); });
}

}  // namespace troupe::cli
