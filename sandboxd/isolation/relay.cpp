#include "sandboxd/isolation/relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <list>
#include <memory>

namespace troupe::sandboxd {
namespace {

// One direction of one connection. `eof` is set when `from` has ended; then `to` is shut down once the buffer
// is empty.
struct flow {
  std::array<char, relay_buffer_bytes> bytes;
  std::size_t begin = 0, end = 0;
  bool eof = false;
  bool finished = false;
};

struct connection {
  descriptor inner, outer;
  flow out, in;  // inner → outer, outer → inner
};

descriptor connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return {};
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  descriptor fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  // A unix connect is immediate; EAGAIN means a full queue, which is as good as nobody.
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0) return {};
  return fd;
}

// Moves what it can without waiting. False: the connection is broken.
bool move_bytes(flow& f, int from, int to) {
  if (f.finished) return true;
  if (!f.eof && f.begin == f.end) {
    f.begin = f.end = 0;
    const ssize_t n = ::recv(from, f.bytes.data(), f.bytes.size(), 0);
    if (n == 0) f.eof = true;
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (n > 0) f.end = static_cast<std::size_t>(n);
  }
  while (f.begin < f.end) {
    const ssize_t n = ::send(to, f.bytes.data() + f.begin, f.end - f.begin, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) return true;
      return false;
    }
    f.begin += static_cast<std::size_t>(n);
  }
  if (f.eof) {
    ::shutdown(to, SHUT_WR);
    f.finished = true;
  }
  return true;
}

short wanted(const flow& read_side, const flow& write_side) {
  short events = 0;
  if (!read_side.eof && read_side.begin == read_side.end) events |= POLLIN;
  if (write_side.begin < write_side.end) events |= POLLOUT;
  return events;
}

}  // namespace

outcome<std::vector<relay_listener>> listen_on_loopback(const std::vector<relay_route>& routes) {
  std::vector<relay_listener> out;
  for (const auto& route : routes) {
    descriptor fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    const int on = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(route.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0 ||
        ::listen(fd.get(), 64) < 0)
      return os_error{errno, "relay: listening on 127.0.0.1:" + std::to_string(route.port) + " inside"};
    out.push_back({std::move(fd), route.socket});
  }
  return out;
}

void run_relay(const std::vector<relay_listener>& listeners) {
  std::list<std::unique_ptr<connection>> open;
  std::vector<pollfd> fds;
  for (;;) {
    fds.clear();
    const bool room = open.size() < relay_connections;
    for (const auto& item : listeners) fds.push_back({room ? item.socket.get() : -1, POLLIN, 0});
    for (const auto& c : open) {
      // A side with nothing to wait for is left out: its hang-up would make poll return for ever.
      const short inner = wanted(c->out, c->in), outer = wanted(c->in, c->out);
      fds.push_back({inner ? c->inner.get() : -1, inner, 0});
      fds.push_back({outer ? c->outer.get() : -1, outer, 0});
    }
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;

    std::size_t at = listeners.size();
    for (auto it = open.begin(); it != open.end(); at += 2) {
      auto& c = **it;
      bool fine = true;
      if (fds[at].revents || fds[at + 1].revents)
        fine =
            move_bytes(c.out, c.inner.get(), c.outer.get()) && move_bytes(c.in, c.outer.get(), c.inner.get());
      if (!fine || (c.out.finished && c.in.finished))
        it = open.erase(it);
      else
        ++it;
    }
    for (std::size_t i = 0; i < listeners.size(); ++i) {
      if (!(fds[i].revents & POLLIN) || open.size() >= relay_connections) continue;
      descriptor inner{::accept4(listeners[i].socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
      if (!inner) continue;
      descriptor outer = connect_unix(listeners[i].target);
      if (!outer) continue;
      auto c = std::make_unique<connection>();
      c->inner = std::move(inner);
      c->outer = std::move(outer);
      open.push_back(std::move(c));
    }
  }
}

}  // namespace troupe::sandboxd
