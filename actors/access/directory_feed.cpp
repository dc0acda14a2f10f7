#include "actors/access/directory_feed.h"

#include <condition_variable>

#include <nlohmann/json.hpp>

#include "actors/roles.h"

namespace troupe::actors {
namespace {

// Between two attempts to read when the actor cannot answer (mailbox full, waking).
constexpr std::chrono::milliseconds pause_after_failure{100};
constexpr std::chrono::milliseconds subscribe_again_after{1000};
// Pages of one load; far above users / directory_page.
constexpr int max_pages = 1000;

}  // namespace

// Outlives the feed as long as the host may still call it.
class directory_feed::listener : public subscriber {
 public:
  void on_snapshot(snapshot_ptr frame) override {
    const auto changes = nlohmann::json::parse(frame->data).at("changes").get<std::int64_t>();
    const std::lock_guard lock(mutex_);
    if (frame->at.incarnation == incarnation_ && changes == changes_) return;
    incarnation_ = frame->at.incarnation;
    changes_ = changes;
    stale_ = true;
    wake_.notify_all();
  }

  void on_gone(const key&, const std::string&) override {
    const std::lock_guard lock(mutex_);
    subscribed_ = false;
    wake_.notify_all();
  }

  void subscribed(bool ok) {
    const std::lock_guard lock(mutex_);
    subscribed_ = ok;
    answered_ = true;
    wake_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::string incarnation_;
  std::int64_t changes_ = -1;
  bool stale_ = false;       // a snapshot said so and nothing has been read since
  bool subscribed_ = false;  // as far as the host has answered
  bool answered_ = true;     // false while an answer to subscribe is awaited
  bool loaded_ = false;
};

directory_feed::directory_feed(host& h, directory& d)
    : host_(h), directory_(d), listener_(std::make_shared<listener>()) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

directory_feed::~directory_feed() {
  thread_.request_stop();
  thread_.join();
}

void directory_feed::run(const std::stop_token& stop) {
  static const key access("access");
  auto& l = *listener_;
  std::unique_lock lock(l.mutex_);
  while (!stop.stop_requested()) {
    if (!l.subscribed_ && l.answered_) {
      l.answered_ = false;
      lock.unlock();
      subscription_ =
          host_.subscribe(access, std::nullopt, std::string(host_principal), listener_,
                          [keep = listener_](const std::optional<problem>& why) { keep->subscribed(!why); });
      lock.lock();
      continue;
    }
    if (l.stale_) {
      l.stale_ = false;
      lock.unlock();
      const bool ok = load();
      lock.lock();
      if (ok) {
        l.loaded_ = true;
        l.wake_.notify_all();
      } else {
        l.stale_ = true;
        l.wake_.wait_for(lock, stop, pause_after_failure, [] { return false; });
      }
      continue;
    }
    l.wake_.wait(lock, stop, [&] { return l.stale_ || (l.answered_ && !l.subscribed_); });
    // It ended or failed: pause before the next attempt.
    if (!l.stale_ && !l.subscribed_ && !stop.stop_requested()) {
      l.wake_.wait_for(lock, stop, subscribe_again_after, [&] { return l.stale_; });
    }
  }
}

bool directory_feed::load() {
  static const key access("access");
  auto users = nlohmann::json::array();
  std::optional<revision_id> at;
  std::string after;
  for (int page = 0; page < max_pages; ++page) {
    auto got = host_.ask({access, "access.directory", {{"after", after}}, std::string(host_principal)});
    if (!got.ok()) return false;
    // Pages of two revisions do not fit together; the snapshot that follows brings us here again.
    if (at && *at != got.at) return false;
    at = got.at;
    for (auto& u : std::get<json>(got.is)["users"]) users.push_back(std::move(u));
    const auto& next = got.result().at("next");
    if (next.is_null()) {
      directory_.replace(users);
      return true;
    }
    after = next.get<std::string>();
  }
  return false;
}

bool directory_feed::await_loaded(std::chrono::milliseconds timeout) const {
  std::unique_lock lock(listener_->mutex_);
  return listener_->wake_.wait_for(lock, timeout, [&] { return listener_->loaded_; });
}

}  // namespace troupe::actors
