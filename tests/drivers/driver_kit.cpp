#include "tests/drivers/driver_kit.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <doctest/doctest.h>

namespace troupe::test {
namespace {

constexpr auto patience = std::chrono::seconds(30);

bool answers(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.copy(at.sun_path, sizeof at.sun_path - 1);
  const bool yes = ::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
  ::close(fd);
  return yes;
}

}  // namespace

real_daemon::real_daemon(std::vector<std::string> more) : more_(std::move(more)) {
  start();
}
real_daemon::~real_daemon() {
  stop();
}

drivers::daemon_address real_daemon::address() const {
  drivers::daemon_address a;
  a.at = wire::endpoint::unix_file((box_.path() / "d.sock").string());
  return a;
}

void real_daemon::start() {
  std::vector<std::string> argv = {
      SANDBOXD,  "serve",
      "--unix",  (box_.path() / "d.sock").string(),
      "--state", (box_.path() / "state").string(),
      "--agent", std::string("scripted=") + SCRIPTED_AGENT + " --home " + box_.str()};
  argv.insert(argv.end(), more_.begin(), more_.end());
  std::vector<char*> words;
  for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is killed leaves nothing behind
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  REQUIRE(eventually([&] { return answers((box_.path() / "d.sock").string()); }));
}

void real_daemon::stop() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGTERM);
  const auto pid = pid_;
  pid_ = -1;
  if (eventually([&] { return ::waitpid(pid, nullptr, WNOHANG) == pid; })) return;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

loop::loop() {
  work_.emplace(context_.get_executor());
  http_ = std::make_unique<wire::client>(context_.get_executor());
  for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { context_.run(); });
}

loop::~loop() {
  http_->close();
  work_.reset();
  context_.stop();
  for (auto& thread : threads_) thread.join();
}

recorded_effect::recorded_effect(std::string id, json body, bool resumed, std::string actor)
    : actor_(actor),
      id_(std::move(id)),
      body_(std::move(body)),
      resumed_(resumed),
      deadline_(std::chrono::steady_clock::now() + patience) {}

void recorded_effect::on_cancel(std::function<void()> f) {
  const std::lock_guard lock(mutex_);
  on_cancel_ = std::move(f);
}

void recorded_effect::cancel() {
  const std::lock_guard lock(mutex_);
  if (on_cancel_) on_cancel_();
}

void recorded_effect::succeed(json result) {
  const std::lock_guard lock(mutex_);
  if (!result_ && !problem_) result_ = std::move(result);
  changed_.notify_all();
}

void recorded_effect::fail(problem why, bool again) {
  const std::lock_guard lock(mutex_);
  if (!result_ && !problem_) {
    problem_ = std::move(why);
    again_ = again;
  }
  changed_.notify_all();
}

void recorded_effect::wait() {
  std::unique_lock lock(mutex_);
  const bool came = changed_.wait_for(lock, patience, [&] { return result_ || problem_; });
  REQUIRE_MESSAGE(came, "effect " << id_ << " was not reported within 30 s");
}

bool recorded_effect::reported() {
  const std::lock_guard lock(mutex_);
  return result_ || problem_;
}

json recorded_effect::result() {
  wait();
  REQUIRE_MESSAGE(result_.has_value(), problem_->code << ": " << problem_->detail);
  return *result_;
}

problem recorded_effect::trouble() {
  wait();
  REQUIRE_MESSAGE(problem_.has_value(), result_->dump());
  return *problem_;
}

recorded_feed::recorded_feed(json body, std::string position)
    : body_(std::move(body)), position_(std::move(position)) {}

std::string recorded_feed::position() const {
  auto& self = const_cast<recorded_feed&>(*this);
  const std::lock_guard lock(self.mutex_);
  return position_;
}

void recorded_feed::deliver(std::string position, json entries, std::function<void()> committed) {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    if (pending_) overlapped_ = true;
    largest_ = std::max(largest_, entries.size());
    for (auto& entry : entries) entries_.push_back(std::move(entry));
    if (hold_) {
      pending_ = true;
      held_position_ = std::move(position);
      held_ = std::move(committed);
    } else {
      position_ = std::move(position);
    }
  }
  changed_.notify_all();
  if (committed) committed();  // moved away while it is held
}

void recorded_feed::hold(bool on) {
  std::function<void()> release;
  {
    const std::lock_guard lock(mutex_);
    hold_ = on;
    if (!on && pending_) {
      pending_ = false;
      position_ = held_position_;
      release = std::move(held_);
    }
  }
  if (release) release();
}

void recorded_feed::end(json) {}

void recorded_feed::fail(problem why) {
  const std::lock_guard lock(mutex_);
  problem_ = std::move(why);
  changed_.notify_all();
}

void recorded_feed::on_stop(std::function<void()> f) {
  const std::lock_guard lock(mutex_);
  on_stop_ = std::move(f);
}

void recorded_feed::stop() {
  std::function<void()> f;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    f = on_stop_;
  }
  if (f) f();
}

json recorded_feed::wait_for(const std::function<bool(const json&)>& wanted) {
  std::unique_lock lock(mutex_);
  json found;
  const bool came = changed_.wait_for(lock, patience, [&] {
    for (const auto& entry : entries_) {
      if (wanted(entry)) {
        found = entry;
        return true;
      }
    }
    return false;
  });
  REQUIRE_MESSAGE(came, "the entry that was waited for did not come; " << entries_.size() << " others did");
  return found;
}

problem recorded_feed::wait_failed() {
  std::unique_lock lock(mutex_);
  REQUIRE(changed_.wait_for(lock, patience, [&] { return problem_.has_value(); }));
  return *problem_;
}

std::vector<json> recorded_feed::entries() {
  const std::lock_guard lock(mutex_);
  return entries_;
}

std::size_t recorded_feed::largest_batch() {
  const std::lock_guard lock(mutex_);
  return largest_;
}

bool recorded_feed::overlapped() {
  const std::lock_guard lock(mutex_);
  return overlapped_;
}

std::shared_ptr<recorded_effect> start(const std::vector<effect_kind>& kinds, const std::string& name,
                                       std::string id, json body, bool resumed) {
  for (const auto& kind : kinds) {
    if (kind.name != name) continue;
    auto run = std::make_shared<recorded_effect>(std::move(id), std::move(body), resumed);
    kind.start(run);
    return run;
  }
  FAIL("there is no effect " << name);
  return nullptr;
}

}  // namespace troupe::test
