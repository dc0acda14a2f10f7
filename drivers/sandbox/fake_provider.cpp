#include "drivers/sandbox/fake_provider.h"

#include <algorithm>

namespace troupe::drivers {

namespace asio = wire::asio;

void fake_provider::script(const std::string& call, step what) {
  std::lock_guard lock(mutex_);
  scripted_[call].push_back(std::move(what));
}

void fake_provider::lose(const std::string& handle, const std::string& why) {
  std::lock_guard lock(mutex_);
  if (auto found = sandboxes_.find(handle); found != sandboxes_.end()) {
    found->second.state = "lost";
    found->second.why = why;
  }
}

std::vector<std::string> fake_provider::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

std::size_t fake_provider::alive() const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(sandboxes_.begin(), sandboxes_.end(), [](const auto& item) {
    return item.second.state == "running" || item.second.state == "paused";
  }));
}

std::string fake_provider::handle_of(const std::string& sandbox, const std::string& nonce) const {
  return "fake:" + sandbox + "#" + nonce;
}

asio::awaitable<fake_provider::step> fake_provider::next(std::string call, std::string handle) {
  step mine;
  {
    std::lock_guard lock(mutex_);
    calls_.push_back(call + " " + handle);
    if (auto& left = scripted_[call]; !left.empty()) {
      mine = std::move(left.front());
      left.pop_front();
    }
  }
  if (mine.delay.count() > 0) {
    asio::steady_timer timer(co_await asio::this_coro::executor, mine.delay);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return mine;
}

provider::later<sandbox_made> fake_provider::create(sandbox_request what) {
  const auto handle = handle_of(what.sandbox, what.nonce);
  auto now = co_await next("create", handle);
  if (now.failure && !now.after) co_return *now.failure;
  sandbox_made out;
  out.handle = handle;
  out.tier = "fake";
  out.workspace = "/workspace";
  {
    std::lock_guard lock(mutex_);
    for (const auto& [other, item] : sandboxes_)
      if (other != handle && item.uid == what.uid && what.uid != 0)
        co_return quota("the uid " + std::to_string(what.uid) + " is still that of " + other);
    auto& mine = sandboxes_[handle];
    out.adopted = mine.state == "running" || mine.state == "paused";
    if (!out.adopted) mine = {"running", "", what.uid};
  }
  if (now.failure) co_return *now.failure;
  co_return out;
}

provider::later<sandbox_paused> fake_provider::pause(std::string handle) {
  auto now = co_await next("pause", handle);
  if (now.failure) co_return *now.failure;
  std::lock_guard lock(mutex_);
  auto found = sandboxes_.find(handle);
  if (found == sandboxes_.end()) co_return not_found("there is no sandbox " + handle);
  if (found->second.state != "running" && found->second.state != "paused")
    co_return broken("the sandbox is " + found->second.state);
  found->second.state = "paused";
  sandbox_paused out{"paused", "fake"};
  co_return out;
}

provider::later<sandbox_paused> fake_provider::resume(std::string handle) {
  auto now = co_await next("resume", handle);
  if (now.failure) co_return *now.failure;
  std::lock_guard lock(mutex_);
  auto found = sandboxes_.find(handle);
  if (found == sandboxes_.end()) co_return not_found("there is no sandbox " + handle);
  if (found->second.state != "running" && found->second.state != "paused")
    co_return broken("the sandbox is " + found->second.state);
  found->second.state = "running";
  sandbox_paused out{"running", "fake"};
  co_return out;
}

provider::later<bool> fake_provider::kill(std::string handle) {
  auto now = co_await next("kill", handle);
  if (now.failure) co_return *now.failure;
  std::lock_guard lock(mutex_);
  auto found = sandboxes_.find(handle);
  if (found == sandboxes_.end()) co_return not_found("there is no sandbox " + handle);
  found->second.state = "stopped";
  co_return true;
}

provider::later<bool> fake_provider::destroy(std::string handle) {
  auto now = co_await next("destroy", handle);
  if (now.failure && !now.after) co_return *now.failure;
  bool existed;
  {
    std::lock_guard lock(mutex_);
    existed = sandboxes_.erase(handle) > 0;
  }
  if (now.failure) co_return *now.failure;
  co_return existed;
}

provider::later<sandbox_look> fake_provider::inspect(std::string handle) {
  auto now = co_await next("inspect", handle);
  if (now.failure) co_return *now.failure;
  std::lock_guard lock(mutex_);
  auto found = sandboxes_.find(handle);
  if (found == sandboxes_.end()) co_return not_found("there is no sandbox " + handle);
  sandbox_look out;
  out.state = found->second.state;
  out.why = found->second.why;
  co_return out;
}

std::optional<daemon_address> fake_provider::find(const std::string&) const {
  return {};
}

}  // namespace troupe::drivers
