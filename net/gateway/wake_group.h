// Connections of one strand that have something to send, woken together: what one actor says to thousands
// costs a handful of wakes. Private to this folder.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "net/wire/asio.h"

namespace troupe::gateway {

class woken {
 public:
  virtual ~woken() = default;
  // On the group's strand.
  virtual void flush() = 0;
};

// Lives as long as one of its connections.
class wake_group : public std::enable_shared_from_this<wake_group> {
 public:
  explicit wake_group(wire::executor strand_of_all) : strand(std::move(strand_of_all)) {}

  // Any thread. Each is asked once for all times that it was added before.
  void add(std::shared_ptr<woken> one) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(one));
      if (waiting_.size() > 1) return;
    }
    wire::asio::post(strand, [self = shared_from_this()] { self->wake(); });
  }

  const wire::executor strand;

 private:
  void wake() {
    std::vector<std::shared_ptr<woken>> now;
    {
      const std::lock_guard lock(mutex_);
      now.swap(waiting_);
    }
    for (const auto& one : now) one->flush();
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<woken>> waiting_;
};

}  // namespace troupe::gateway
