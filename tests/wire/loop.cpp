#include "tests/wire/loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_future.hpp>

namespace troupe::wire::testing {

loop::loop(int threads) : work_(context_.get_executor()) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { context_.run(); });
}

loop::~loop() {
  work_.reset();
  context_.stop();
  for (auto& t : threads_) t.join();
}

served::served(service what, server_options options, int threads) : loop(threads) {
  options.on_fault = [this](std::string_view where, std::string_view text) {
    std::lock_guard lock(mutex_);
    faults_.push_back(std::string(where) + ": " + std::string(text));
  };
  server = std::make_unique<wire::server>(loop.get_executor(), std::move(what), std::move(options));
  auto bound = server->listen("127.0.0.1", 0);
  if (!bound) throw std::runtime_error(bound.error().text);
  port = bound->port;
}

served::served(handler what, server_options options) : served(service{std::move(what)}, std::move(options)) {}

served::~served() {
  if (!stopped_) stop();
}

void served::stop(clock::duration limit) {
  stopped_ = true;
  loop.run(server->stop(limit));
}

std::vector<std::string> served::faults() {
  std::lock_guard lock(mutex_);
  return faults_;
}

namespace {

void set_patience(int fd) {
  timeval t{std::chrono::duration_cast<std::chrono::seconds>(patience).count(), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

}  // namespace

raw_socket::raw_socket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
  set_patience(fd_);
}

raw_socket::raw_socket(const std::string& unix_path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  unix_path.copy(to.sun_path, sizeof to.sun_path - 1);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
  set_patience(fd_);
}

raw_socket::~raw_socket() {
  ::close(fd_);
}

void raw_socket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool raw_socket::receive() {
  char buffer[16384];
  auto n = ::recv(fd_, buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  got_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

std::string raw_socket::read_until(std::string_view text) {
  std::size_t at;
  while ((at = got_.find(text)) == std::string::npos && receive()) {
  }
  auto length = at == std::string::npos ? got_.size() : at + text.size();
  auto out = got_.substr(0, length);
  got_.erase(0, length);
  return out;
}

std::string raw_socket::read_to_end() {
  while (receive()) {
  }
  return std::exchange(got_, {});
}

bool raw_socket::ended() {
  char byte;
  got_.clear();
  for (;;) {
    auto n = ::recv(fd_, &byte, 1, 0);
    if (n == 0) return true;
    if (n < 0) return errno == ECONNRESET;
  }
}

void raw_socket::half_close() {
  ::shutdown(fd_, SHUT_WR);
}

void raw_socket::reset() {
  linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd_);
  fd_ = -1;
}

void raw_socket::shrink_receive_buffer() {
  int size = 4096;
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

void event::set() {
  std::lock_guard lock(mutex_);
  set_ = true;
  changed_.notify_all();
}

bool event::wait(clock::duration limit) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return set_; });
}

bool eventually(const std::function<bool()>& condition, clock::duration limit) {
  auto until = clock::now() + limit;
  while (!condition()) {
    if (clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

response fetch(const endpoint& at, request what, clock::duration limit) {
  blocking_client client;
  auto answer = client.fetch(at, std::move(what), limit);
  if (!answer) throw std::runtime_error(answer.error().text);
  return *answer;
}

response get(const served& s, const std::string& target) {
  request what;
  what.target = target;
  return fetch(s.at(), what);
}

}  // namespace troupe::wire::testing
