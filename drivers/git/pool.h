// A bounded pool for what truly blocks: libgit2 and the disk.
//
// post() may be called from any thread. Owned by whoever wires the drivers; destroyed after the host has
// stopped. Work that is queued when it is destroyed is dropped.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "net/wire/signal.h"

namespace troupe::drivers::git {

class pool {
 public:
  static constexpr std::size_t default_threads = 4;
  static constexpr std::size_t max_queued = 256;

  explicit pool(std::size_t threads = default_threads);
  ~pool();  // waits for what runs
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  // False: max_queued pieces of work wait already.
  [[nodiscard]] bool post(std::function<void()> work);

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Runs `work` on the pool and gives its result on the caller's strand. Nothing: the pool is full.
template <class F>
auto on_pool(pool& threads, F work) -> wire::asio::awaitable<std::optional<decltype(work())>> {
  using value = decltype(work());
  const auto result = std::make_shared<std::optional<value>>();
  const wire::signal done(co_await wire::asio::this_coro::executor);
  const bool queued = threads.post([result, done, work = std::move(work)] {
    result->emplace(work());
    done.raise();
  });
  if (queued) co_await done.wait();
  co_return std::move(*result);
}

}  // namespace troupe::drivers::git
