#include "sandboxd/isolation/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::sandboxd {
namespace {

// The first byte of each packet: where its text is.
constexpr char here = 'h', in_memfd = 'm';

bool write_all(int fd, const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t n = ::write(fd, text.data() + sent, text.size() - sent);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  return true;
}

// Reads at positions, so that the sender's own offset does not matter.
outcome<std::string> read_memfd(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size < 0 ||
      static_cast<std::size_t>(info.st_size) > text_bytes)
    return os_error{EPROTO, "control: a long message is not a file of at most 16 MiB"};
  std::string out(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t got = 0;
  while (got < out.size()) {
    const ssize_t n = ::pread(fd, out.data() + got, out.size() - got, static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return os_error{EPROTO, "control: a long message ended early"};
    got += static_cast<std::size_t>(n);
  }
  return out;
}

}  // namespace

outcome<control_pair> make_control_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
    return os_error{errno, "control: socketpair failed"};
  return control_pair{descriptor{fds[0]}, descriptor{fds[1]}};
}

outcome<done> send_packet(int socket, const std::string& text, const std::vector<int>& fds) {
  if (text.size() > text_bytes || fds.size() >= packet_fds)
    return os_error{EMSGSIZE, "control: a message is longer than 16 MiB or has more than 7 descriptors"};
  std::vector<int> all;
  descriptor memory;
  std::string bytes;
  if (text.size() < packet_bytes) {
    bytes = here + text;
  } else {
    memory = descriptor{::memfd_create("control", MFD_CLOEXEC)};
    if (!memory || !write_all(memory.get(), text)) return os_error{errno, "control: writing a long message"};
    all.push_back(memory.get());
    bytes = in_memfd;
  }
  all.insert(all.end(), fds.begin(), fds.end());

  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int) * packet_fds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!all.empty()) {
    message.msg_control = room;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * all.size());
    auto* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * all.size());
    memcpy(CMSG_DATA(head), all.data(), sizeof(int) * all.size());
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return os_error{errno, "control: sending failed"};
  }
  return done{};
}

outcome<packet> receive_packet(int socket) {
  std::string bytes(packet_bytes + 1, '\0');
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int) * packet_fds)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof(room);
  ssize_t n;
  while ((n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == ECONNRESET) return os_error{ENOTCONN, "control: the other side is gone"};
    if (errno != EINTR) return os_error{errno, "control: receiving failed"};
  }
  packet out;
  for (auto* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
      out.fds.emplace_back(fd);
    }
  }
  if (n == 0) return os_error{ENOTCONN, "control: the other side is gone"};
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) return os_error{EPROTO, "control: a packet was cut"};
  if (bytes[0] == here) {
    out.text = bytes.substr(1, static_cast<std::size_t>(n) - 1);
  } else if (bytes[0] == in_memfd && !out.fds.empty()) {
    auto text = read_memfd(out.fds.front().get());
    if (!text) return text.error();
    out.text = std::move(text).value();
    out.fds.erase(out.fds.begin());
  } else {
    return os_error{EPROTO, "control: a packet of an unknown form"};
  }
  return out;
}

}  // namespace troupe::sandboxd
