#include "drivers/git/job.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <git2.h>
#include <git2/sys/stream.h>

namespace troupe::drivers::git {
namespace {

constexpr int max_credential_asks = 2;
constexpr auto debian_certificates = "/etc/ssl/certs/ca-certificates.crt";

thread_local job* current_job = nullptr;

// Laid out as libgit2 1.5's own git_socket_stream, because its ssh transport takes the descriptor out of the
// stream by that layout (it has no other way for a stream that was registered).
struct socket_stream {
  git_stream parent;
  char* host;
  char* port;
  int fd;
};

socket_stream& of(git_stream* stream) {
  return *reinterpret_cast<socket_stream*>(stream);
}

int fail(const std::string& what) {
  git_error_set_str(GIT_ERROR_NET, what.c_str());
  return -1;
}

// Connects within the limit; the job can end it in between.
int connect_to(const addrinfo& address, std::string& why) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol);
  if (fd < 0) {
    why = std::strerror(errno);
    return -1;
  }
  const auto give_up = std::chrono::steady_clock::now() + connect_limit;
  int rc = ::connect(fd, address.ai_addr, address.ai_addrlen);
  int error = rc == 0 ? 0 : errno;
  while (error == EINPROGRESS) {
    pollfd wait{fd, POLLOUT, 0};
    if (::poll(&wait, 1, 100) > 0) {
      socklen_t size = sizeof error;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    } else if (current_job != nullptr && current_job->ended()) {
      error = ECANCELED;
    } else if (std::chrono::steady_clock::now() >= give_up) {
      error = ETIMEDOUT;
    }
  }
  if (error != 0) {
    why = std::strerror(error);
    ::close(fd);
    return -1;
  }
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

int stream_connect(git_stream* stream) {
  auto& s = of(stream);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int rc = ::getaddrinfo(s.host, s.port, &hints, &found); rc != 0) {
    return fail(std::string("the host ") + s.host + " was not found: " + ::gai_strerror(rc));
  }
  std::string why = "no address";
  for (const auto* at = found; at != nullptr && s.fd < 0; at = at->ai_next) s.fd = connect_to(*at, why);
  ::freeaddrinfo(found);
  if (s.fd < 0) return fail(std::string("connecting to ") + s.host + ":" + s.port + ": " + why);
  if (current_job != nullptr && !current_job->adopt(s.fd)) return fail("the operation was ended");
  return 0;
}

ssize_t stream_read(git_stream* stream, void* into, std::size_t size) {
  for (;;) {
    const auto got = ::recv(of(stream).fd, into, size, 0);
    if (got >= 0) return got;
    if (errno != EINTR)
      return fail(std::string("receiving from ") + of(stream).host + ": " + std::strerror(errno));
  }
}

ssize_t stream_write(git_stream* stream, const char* bytes, std::size_t size, int) {
  for (std::size_t done = 0; done < size;) {
    const auto put = ::send(of(stream).fd, bytes + done, size - done, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail(std::string("sending to ") + of(stream).host + ": " + std::strerror(errno));
    done += static_cast<std::size_t>(put);
  }
  return static_cast<ssize_t>(size);
}

int stream_close(git_stream* stream) {
  auto& s = of(stream);
  if (s.fd < 0) return 0;
  if (current_job != nullptr) current_job->release(s.fd);
  ::close(s.fd);
  s.fd = -1;
  return 0;
}

void stream_free(git_stream* stream) {
  stream_close(stream);
  std::free(of(stream).host);
  std::free(of(stream).port);
  std::free(stream);
}

int stream_init(git_stream** out, const char* host, const char* port) {
  auto* s = static_cast<socket_stream*>(std::calloc(1, sizeof(socket_stream)));
  if (s == nullptr) return -1;
  s->host = ::strdup(host);
  s->port = ::strdup(port);
  s->fd = -1;
  s->parent.version = GIT_STREAM_VERSION;
  s->parent.connect = stream_connect;
  s->parent.read = stream_read;
  s->parent.write = stream_write;
  s->parent.close = stream_close;
  s->parent.free = stream_free;
  *out = &s->parent;
  return 0;
}

int on_progress(const git_indexer_progress*, void* payload) {
  return static_cast<job*>(payload)->ended() ? -1 : 0;
}
int on_text(const char* text, int size, void* payload) {
  auto& self = *static_cast<job*>(payload);
  self.hear({text, static_cast<std::size_t>(size)});
  return self.ended() ? -1 : 0;
}

}  // namespace

job::scope::scope(job& j) {
  current_job = &j;
}
job::scope::~scope() {
  current_job = nullptr;
}
job* job::current() {
  return current_job;
}

void job::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  if (socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
}

bool job::adopt(int socket) {
  const std::lock_guard lock(mutex_);
  socket_ = socket;
  return !ended_;
}

void job::release(int socket) {
  const std::lock_guard lock(mutex_);
  if (socket_ == socket) socket_ = -1;
}

void job::hear(std::string_view text) {
  said_.append(text.substr(0, max_remote_words - std::min(max_remote_words, said_.size())));
}

// A carriage return alone begins a line anew, as progress does.
std::string job::remote_words() const {
  std::string words, line;
  const auto end_line = [&] {
    while (line.ends_with(' ')) line.pop_back();
    if (!line.empty()) words += (words.empty() ? "" : "\n") + line;
    line.clear();
  };
  for (std::size_t i = 0; i < said_.size(); ++i) {
    const auto c = static_cast<unsigned char>(said_[i]);
    if (c == '\n') {
      end_line();
    } else if (c == '\r') {
      if (i + 1 < said_.size() && said_[i + 1] != '\n') line.clear();
    } else if (c == 27) {
      // The escape sequences of a terminal: up to their letter.
      while (i + 1 < said_.size() && !std::isalpha(static_cast<unsigned char>(said_[i + 1])) &&
             said_[i + 1] != '\n')
        ++i;
      if (i + 1 < said_.size() && said_[i + 1] != '\n') ++i;
    } else {
      line += c < ' ' || c == 127 ? ' ' : static_cast<char>(c);
    }
  }
  end_line();
  return words;
}

void job::fill(git_remote_callbacks& callbacks) {
  callbacks.payload = this;
  callbacks.transfer_progress = on_progress;
  callbacks.sideband_progress = on_text;
  // No certificate_check: libgit2 itself then refuses a certificate or host key that is not known.
  callbacks.credentials = [](git_credential** out, const char* url, const char* user, unsigned int allowed,
                             void* payload) {
    auto& self = *static_cast<job*>(payload);
    const auto& secret = self.with_.secret;
    const bool key = secret.find("PRIVATE KEY-----") != std::string::npos;
    const std::string name = user != nullptr ? user : key ? "git" : "x-access-token";
    const auto none = [](const char* why) {
      git_error_set_str(GIT_ERROR_CALLBACK, why);
      return static_cast<int>(GIT_EAUTH);
    };
    if (allowed & GIT_CREDENTIAL_USERNAME) return git_credential_username_new(out, name.c_str());
    if (secret.empty()) return none("authentication is required");
    if (++self.asked_ > max_credential_asks) return none("authentication failed");
    if (std::string_view(url).starts_with("http://")) return none("a credential is not sent over plain http");
    if (key && (allowed & GIT_CREDENTIAL_SSH_MEMORY))
      return git_credential_ssh_key_memory_new(out, name.c_str(), nullptr, secret.c_str(), nullptr);
    if (!key && (allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT)) {
      const auto colon = user == nullptr ? secret.find(':') : std::string::npos;  // "user:password"
      if (colon == std::string::npos)
        return git_credential_userpass_plaintext_new(out, name.c_str(), secret.c_str());
      return git_credential_userpass_plaintext_new(out, secret.substr(0, colon).c_str(),
                                                   secret.c_str() + colon + 1);
    }
    return none(key ? "it takes no private key" : "it takes no password, only a private key");
  };
}

failed job::words(const std::string& about, int code) const {
  if (ended_)
    return timed_out(about + ": it was ended before it was done (its deadline passed, or it was cancelled)");
  const auto* last = git_error_last();
  const std::string said = last != nullptr && last->message != nullptr ? last->message : "no reason given";
  const auto has = [&](const char* text) { return said.find(text) != std::string::npos; };
  if (code == GIT_EAUTH || has("authentication") || has("401") || has("403")) {
    if (with_.secret.empty()) {
      return git_refused(
          "credential_missing",
          about + ": " + said +
              ". The server asks for a credential: store a token (https) or a private key in PEM "
              "(ssh) as a secret and name it as the repository's credential");
    }
    return git_refused(
        "credential_refused",
        about + ": " + said + ". The credential was refused" +
            (with_.whose.empty() ? std::string() : " (" + with_.whose + ")") +
            ": it may have expired, or lack the rights; store a new one under the same name and "
            "try again");
  }
  if (code == GIT_ECERTIFICATE || has("hostkey") || has("certificate")) {
    return git_refused(
        "host_unverified",
        about + ": " + said +
            ". The host could not be verified: for ssh, check its key and put it into ~/.ssh/known_hosts of "
            "the user that runs the server; for https, its certificate must be signed by a known authority");
  }
  if (has("No space left") || has("disk quota")) {
    return disk_full(about + ": " + said +
                     ". The server's disk is full: make room there and try again; nothing was lost");
  }
  if (has("404") || has("not found") || has("does not exist") || has("could not find repository") ||
      has("does not appear to be a git repository")) {
    return git_refused("remote_not_found",
                       about + ": " + said +
                           ". Check the URL; a private repository also looks like this without a credential");
  }
  if (last != nullptr &&
      (last->klass == GIT_ERROR_NET || last->klass == GIT_ERROR_SSH || last->klass == GIT_ERROR_HTTP)) {
    const bool passing = last->klass == GIT_ERROR_NET;
    return git_failed(about + ": " + said + ". Check that the server reaches the host", passing);
  }
  return git_failed(about + ": " + said);
}

void start_libgit2(const std::string& ca_file) {
  static std::once_flag once;
  std::call_once(once, [&] {
    git_libgit2_init();
    // Whoever may read a path may name it (--repo-root); who owns its files says nothing more.
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    const auto file = ca_file.empty() ? std::string(debian_certificates) : ca_file;
    if (::access(file.c_str(), R_OK) == 0) {
      git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, file.c_str(), nullptr);
    }
    git_stream_registration ours{};
    ours.version = GIT_STREAM_VERSION;
    ours.init = stream_init;
    git_stream_register(GIT_STREAM_STANDARD, &ours);
  });
}

}  // namespace troupe::drivers::git
