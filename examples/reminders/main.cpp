// reminders DATA [TEXT MILLISECONDS]: sets a reminder, then waits until all of them have rung. Interrupt it,
// and start it again without a text: what became due meanwhile rings at once.
#include <condition_variable>
#include <iostream>
#include <mutex>

#include "reminders/reminders.h"
#include "runtime/host.h"

using namespace troupe;

namespace {

/// Prints what has rung, and knows when nothing waits any more.
class printer final : public subscriber {
 public:
  void on_snapshot(snapshot_ptr frame) override {
    const auto list = json::parse(frame->data);
    std::lock_guard lock(mutex_);
    for (; shown_ < list["rang"].size(); ++shown_) {
      std::cout << "ring: " << list["rang"][list["rang"].size() - 1 - shown_]["text"].get<std::string>()
                << std::endl;
    }
    waiting_ = list["waiting"].size();
    changed_.notify_all();
  }
  void wait_for_all() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t waiting_ = 1, shown_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    std::cerr << "usage: reminders DATA [TEXT MILLISECONDS]\n";
    return 2;
  }
  host h({.data = argv[1], .kinds = {&reminders::list()}});
  h.start();
  const key mine("list/mine");
  h.call_as_host(mine, "list.open", json::object(), "open", /*create=*/true);
  if (argc == 4) {
    const auto r = h.call({.to = mine,
                           .id = random_ids().next(system_clock().now()),
                           .name = "list.remind",
                           .body = {{"text", argv[2]}, {"in_ms", std::atoll(argv[3])}},
                           .principal = "you"});
    if (!r.ok()) {
      std::cerr << r.error().detail << '\n';
      return 1;
    }
  }
  const auto out = std::make_shared<printer>();
  const auto watching = h.subscribe(mine, std::nullopt, "you", out, [](std::optional<problem>) {});
  out->wait_for_all();
}
