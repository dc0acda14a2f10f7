// One operation of libgit2 that can be ended from outside.
//
// libgit2 1.5 knows no deadlines: a server that accepts and then says nothing would hold a thread for ever.
// So its sockets are ours (register_streams), each belongs to the job of its thread, and ending a job shuts
// its socket down, upon which libgit2 fails. A job is made on the thread that runs the operation; end() may
// be called from any.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "drivers/daemon/failed.h"

struct git_remote_callbacks;

namespace troupe::drivers::git {

inline constexpr std::chrono::seconds connect_limit{15};

// A password or token for https, or a private key in PEM for ssh. Never logged, never in an error.
struct credential {
  std::string secret;
  std::string whose;  // for people: "the secret `github`"
};

inline constexpr std::size_t max_remote_words = 8u << 10;  // bytes kept of what a remote says

class job {
 public:
  explicit job(credential with = {}) : with_(std::move(with)) {}
  job(const job&) = delete;
  job& operator=(const job&) = delete;

  void end();
  bool ended() const { return ended_; }

  // Runs `f` with this job as the thread's.
  template <class F>
  auto run(F&& f) {
    const scope entered(*this);
    return f();
  }

  void hear(std::string_view text);
  // What libgit2 is to ask: credentials, progress (which ends an ended job). The job outlives their use.
  void fill(git_remote_callbacks&);

  // What the remote said to people, as text without control characters, at most max_remote_words of it.
  std::string remote_words() const;
  bool has_credential() const { return !with_.secret.empty(); }

  // The last error of libgit2 on this thread as a problem: its words and what to do. `code` is what the call
  // gave.
  failed words(const std::string& about, int code) const;

  // For the sockets of register_streams().
  static job* current();
  bool adopt(int socket);  // false: the job has ended
  void release(int socket);

 private:
  struct scope {
    explicit scope(job&);
    ~scope();
  };

  credential with_;
  int asked_ = 0;     // times libgit2 wanted a credential
  std::string said_;  // as it came, up to the limit
  std::atomic<bool> ended_{false};
  std::mutex mutex_;
  int socket_ = -1;  // open while libgit2 uses it
};

// Once per process, before the first use; later calls do nothing. `ca_file`: PEM trusted for https, empty:
// Debian's. Makes libgit2 ours: no configuration of the user or the machine, our sockets.
void start_libgit2(const std::string& ca_file = "");

}  // namespace troupe::drivers::git
