#include "bench/fan/crowd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "bench/measure.h"

namespace troupe::bench {

namespace {

constexpr std::size_t read_at_once = 256 * 1024;
constexpr unsigned char text_opcode = 1, close_opcode = 8, ping_opcode = 9, pong_opcode = 10;

std::runtime_error failed(const std::string& what) {
  return std::runtime_error(what + ": " + std::strerror(errno));
}

int connected(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    throw failed("connect to 127.0.0.1:" + std::to_string(port));
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  // Thousands that wait for their last packets would be in the way of the next row.
  const linger reset{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  return fd;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw failed("send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// What came after the server's answer to the handshake.
std::string shaken_hands(int fd, std::uint16_t port) {
  send_all(fd,
           "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
               "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: troupe.v1\r\n\r\n");
  std::string got;
  std::array<char, 4096> some;
  for (;;) {
    const auto n = ::recv(fd, some.data(), some.size(), 0);
    if (n <= 0) throw failed("handshake");
    got.append(some.data(), static_cast<std::size_t>(n));
    const auto end = got.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    if (!got.starts_with("HTTP/1.1 101")) throw std::runtime_error("not let in: " + got.substr(0, 300));
    return got.substr(end + 4);
  }
}

// A client's frame; the mask is zero, which leaves the text as it is.
std::string masked(unsigned char opcode, std::string_view text) {
  std::string out;
  out += static_cast<char>(0x80 | opcode);
  if (text.size() < 126) {
    out += static_cast<char>(0x80 | text.size());
  } else {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(text.size() >> 8);
    out += static_cast<char>(text.size());
  }
  out.append(4, '\0');
  out += text;
  return out;
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

crowd::crowd(std::uint16_t port, int clients, const std::string& hello) : scratch_(read_at_once, '\0') {
  poll_ = ::epoll_create1(EPOLL_CLOEXEC);
  const auto said = masked(text_opcode, hello);
  for (int i = 0; i < clients; ++i) {
    auto& c = all_.emplace_back();
    c.fd = connected(port);
    c.rest = shaken_hands(c.fd, port);
    if (!hello.empty()) send_all(c.fd, said);
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.u32 = static_cast<std::uint32_t>(i);
    if (::epoll_ctl(poll_, EPOLL_CTL_ADD, c.fd, &wanted) != 0) throw failed("epoll_ctl");
  }
}

crowd::~crowd() {
  for (const auto& c : all_) ::close(c.fd);
  ::close(poll_);
}

void crowd::say(int client, std::string_view text) {
  send_all(all_[static_cast<std::size_t>(client)].fd, masked(text_opcode, text));
}

bool crowd::run(double until, const std::function<bool()>& over) {
  std::array<epoll_event, 512> ready;
  // A first frame may have come together with the handshake's answer.
  for (std::size_t i = 0; i < all_.size(); ++i) {
    auto rest = std::exchange(all_[i].rest, {});
    const auto taken = take_frames(static_cast<int>(i), rest);
    all_[i].rest = rest.substr(taken);
  }
  while (!over()) {
    const double left = until - seconds();
    if (left <= 0) return false;
    const int n = ::epoll_wait(poll_, ready.data(), ready.size(), static_cast<int>(left * 1000) + 1);
    for (int i = 0; i < n; ++i) read(static_cast<int>(ready[static_cast<std::size_t>(i)].data.u32));
  }
  return true;
}

void crowd::read(int client) {
  auto& c = all_[static_cast<std::size_t>(client)];
  const auto before = c.rest.size();
  if (scratch_.size() < before + read_at_once) scratch_.resize(before + read_at_once);
  std::memcpy(scratch_.data(), c.rest.data(), before);
  const auto n = ::recv(c.fd, scratch_.data() + before, scratch_.size() - before, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) throw failed("a server ended a connection");
  const std::string_view all(scratch_.data(), before + static_cast<std::size_t>(n));
  c.rest.assign(all.substr(take_frames(client, all)));
}

std::size_t crowd::take_frames(int client, std::string_view bytes) {
  std::size_t taken = 0;
  for (;;) {
    const auto left = bytes.substr(taken);
    if (left.size() < 2) return taken;
    const auto opcode = static_cast<unsigned char>(left[0]) & 0x0F;
    std::size_t head = 2, size = static_cast<unsigned char>(left[1]);
    const std::size_t wide = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (left.size() < head + wide) return taken;
    if (wide) size = big_endian(left.substr(head, wide));
    head += wide;
    if (left.size() < head + size) return taken;
    const auto text = left.substr(head, size);
    taken += head + size;
    if (opcode == text_opcode && heard) heard(client, text);
    if (opcode == ping_opcode) send_all(all_[static_cast<std::size_t>(client)].fd, masked(pong_opcode, text));
    if (opcode == close_opcode) throw std::runtime_error("a server closed: " + std::string(text.substr(2)));
  }
}

}  // namespace troupe::bench
