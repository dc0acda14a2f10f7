// The only file that knows CAF (0.17.6). A runner is an event-based actor whose unbounded mailbox carries
// nothing but "there is work": what the work is stands in bounded queues of our own.
#include <condition_variable>
#include <mutex>

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/atom.hpp>
#include <caf/behavior.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

#include "runtime/scheduler.h"

namespace troupe {
namespace {

using work_atom = caf::atom_constant<caf::atom("work")>;

// Counts stretches in progress, so that stop() can wait for the last of them.
class door {
 public:
  bool enter() {
    std::lock_guard lock(mutex_);
    if (shut_) return false;
    ++inside_;
    return true;
  }
  void leave() {
    std::lock_guard lock(mutex_);
    if (--inside_ == 0 && shut_) empty_.notify_all();
  }
  void shut() {
    std::unique_lock lock(mutex_);
    shut_ = true;
    empty_.wait(lock, [&] { return inside_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable empty_;
  int inside_ = 0;
  bool shut_ = false;
};

caf::behavior stretches(caf::event_based_actor*, std::shared_ptr<door> d, std::function<void()> stretch) {
  return {[d = std::move(d), stretch = std::move(stretch)](work_atom) {
    if (!d->enter()) return;
    stretch();
    d->leave();
  }};
}

class caf_runner final : public runner {
 public:
  explicit caf_runner(caf::actor handle) : handle_(std::move(handle)) {}
  ~caf_runner() override { caf::anon_send_exit(handle_, caf::exit_reason::user_shutdown); }

  void poke() override { caf::anon_send(handle_, work_atom::value); }
  void poke_after(std::chrono::milliseconds delay) override {
    caf::delayed_anon_send(handle_, delay, work_atom::value);
  }

 private:
  caf::actor handle_;
};

class config : public caf::actor_system_config {
 public:
  explicit config(const scheduler_options& options) {
    // «sharing» hands work over in 5 µs and idles at 0.2 % of a core; the default «stealing» polls.
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", static_cast<std::size_t>(options.threads));
    set("logger.verbosity", caf::atom("quiet"));
  }
};

class caf_scheduler final : public scheduler {
 public:
  explicit caf_scheduler(const scheduler_options& options) : config_(options), system_(config_) {}
  ~caf_scheduler() override {
    door_->shut();
    system_.await_actors_before_shutdown(false);
  }

  std::unique_ptr<runner> spawn(std::function<void()> stretch) override {
    return std::make_unique<caf_runner>(system_.spawn(stretches, door_, std::move(stretch)));
  }
  void stop() override { door_->shut(); }

 private:
  config config_;
  caf::actor_system system_;
  std::shared_ptr<door> door_ = std::make_shared<door>();
};

}  // namespace

std::unique_ptr<scheduler> make_caf_scheduler(const scheduler_options& options) {
  return std::make_unique<caf_scheduler>(options);
}

}  // namespace troupe
