// What the tests of the network stand on: an event loop on threads, a server, and a raw socket that says
// exactly the bytes it is told to.
#pragma once

#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>

#include "net/wire/client.h"
#include "net/wire/server.h"

namespace troupe::wire::testing {

inline constexpr auto patience = std::chrono::seconds(20);  // a test that waits longer has failed

// Runs an io_context on threads until it is destroyed.
class loop {
 public:
  explicit loop(int threads = 2);
  ~loop();

  asio::io_context& context() { return context_; }
  executor get_executor() { return context_.get_executor(); }

  // Runs a coroutine to its end on a strand and gives its value; throws what it throws, and when it takes too
  // long.
  template <class T>
  T run(asio::awaitable<T> work) {
    auto done = asio::co_spawn(asio::make_strand(context_), std::move(work), asio::use_future);
    if (done.wait_for(patience) != std::future_status::ready)
      throw std::runtime_error("the coroutine does not end");
    return done.get();
  }

 private:
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::thread> threads_;
};

// A server on a loop of its own, stopped at the end of the test.
class served {
 public:
  explicit served(service what, server_options options = {}, int threads = 2);
  explicit served(handler what, server_options options = {});
  ~served();

  endpoint at() const { return endpoint::tcp("127.0.0.1", port); }
  void stop(clock::duration limit = std::chrono::seconds(5));

  // Faults that the server reported.
  std::vector<std::string> faults();

  testing::loop loop;
  std::uint16_t port = 0;
  std::unique_ptr<wire::server> server;

 private:
  std::mutex mutex_;
  std::vector<std::string> faults_;
  bool stopped_ = false;
};

// A blocking TCP or unix socket with a receive timeout.
class raw_socket {
 public:
  explicit raw_socket(std::uint16_t port);
  explicit raw_socket(const std::string& unix_path);
  ~raw_socket();
  raw_socket(const raw_socket&) = delete;
  raw_socket& operator=(const raw_socket&) = delete;

  void send(std::string_view bytes);  // ignores a peer that is gone
  // Until the text has been seen (or the end, or too long); gives everything so far, and forgets it.
  std::string read_until(std::string_view text);
  std::string read_to_end();
  bool ended();  // waits for the end of the peer's bytes
  void half_close();
  void reset();  // the peer gets RST
  void shrink_receive_buffer();
  int fd() const { return fd_; }

 private:
  bool receive();

  int fd_ = -1;
  std::string got_;
};

// One event between threads.
class event {
 public:
  void set();
  bool wait(clock::duration limit = patience);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

// Waits for a condition that nothing announces; false when it does not come about in time.
bool eventually(const std::function<bool()>& condition, clock::duration limit = patience);

response fetch(const endpoint& at, request what, clock::duration limit = std::chrono::seconds(10));
response get(const served& s, const std::string& target);

}  // namespace troupe::wire::testing
