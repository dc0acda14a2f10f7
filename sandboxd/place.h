#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "sandboxd/descriptor.h"
#include "sandboxd/outcome.h"

// Where the processes and the files of a sandbox are.
//
// The daemon's API knows neither namespaces nor roots: it asks a place. `direct_place` is the machine that
// sandboxd itself runs on (`sandboxd serve`); `init_place` is the inside of a sandbox, reached over a socket
// to its PID 1 (`sandboxd supervise`). What comes back is descriptors, so that bytes never take a detour.

namespace troupe::sandboxd {

template <class T>
using awaitable = boost::asio::awaitable<T>;

// Names one started process until forget(). Not a pid: pids are reused.
using process_id = std::uint64_t;

struct process_spec {
  // argv[0] is looked up in the PATH of the resulting environment unless it contains a slash. No shell.
  std::vector<std::string> argv;

  // Added to (and winning over) the place's own environment.
  std::vector<std::pair<std::string, std::string>> environment;

  // Where it starts; empty means the place's default. `~` and relative paths as for files.
  std::string directory;

  // With a terminal the three standard streams are one PTY, which controls the new session.
  bool terminal = false;
  std::uint16_t columns = 80;
  std::uint16_t rows = 24;
};

// The parent's ends, close-on-exec. Either the first three or `terminal` are open, never both. The window is
// resized by TIOCSWINSZ on `terminal`; closing `input` is the child's end of file.
struct spawned {
  process_id id = 0;
  std::int64_t pid = 0;  // as seen inside the place; for people, never to be signalled by number
  descriptor input;
  descriptor output;
  descriptor error;
  descriptor terminal;
};

// How a process ended. Exactly one is set; neither means that the place itself ended and took it along.
struct exit_status {
  std::optional<int> code;
  std::optional<int> signal;
};

// What a signal reaches.
enum class reach {
  process,  // the one that was spawned
  tree,     // and everything that descends from it, own sessions and orphaned descendants included
};

enum class file_kind : std::uint8_t { regular, directory, symlink, other };

struct file_status {
  file_kind kind = file_kind::other;
  std::uint64_t size = 0;
  std::uint32_t mode = 0;        // permission bits
  std::int64_t modified_ns = 0;  // Unix time
};

struct file_entry {
  std::string name;
  file_status status;  // of the entry itself: symbolic links are not followed
};

// How open() opens. Only regular files are opened; anything else fails (EISDIR, or EINVAL for what is neither
// file nor directory), so that a FIFO or device cannot hang the daemon.
enum class open_mode : std::uint8_t {
  read,
  replace,  // created with `mode` or truncated, missing parents created
};

// Thread-safety: every call is made on, and every awaitable resumes on, the one thread of the daemon's
// executor. An implementation may work elsewhere meanwhile. A place outlives everything that was spawned in
// it.
//
// Paths are the place's own: absolute, or relative to home(), or beginning with `~`. The place confines them:
// what would leave it fails with EXDEV, by whatever `..` or symbolic link. Paths are bytes without NUL, at
// most 4,095.
//
// Every os_error has an errno and says what was tried and on what. ENOTCONN means that the place is gone for
// good.
class place {
 public:
  virtual ~place() = default;

  // Starts a process in its own session. Fails with the errno of what failed: no such program or folder
  // (ENOENT), not executable (EACCES), no processes left (EAGAIN), ….
  virtual awaitable<outcome<spawned>> spawn(process_spec spec) = 0;

  // Resumes when the process has ended, at once if it had already. Called exactly once for each spawned
  // process. Its descendants may live on and hold its pipes open.
  virtual awaitable<exit_status> wait(process_id id) = 0;

  // ESRCH when nothing is left that the signal could reach: with reach::process after its end, with
  // reach::tree when no descendant lives either. With reach::tree and SIGKILL it returns when a look at the
  // place finds none alive any more, or fails with EBUSY after a bounded number of looks. Works after the
  // process's own end, until forget().
  virtual awaitable<outcome<done>> signal(process_id id, int number, reach whom) = 0;

  // Kills what the process ran as commands since then (process_tree.h); returns when a look finds none alive,
  // or fails with EBUSY after a bounded number of looks. Its helpers and servers stay.
  virtual awaitable<outcome<done>> end_commands(process_id id, unsigned long long since) = 0;

  // Releases the id. The process has ended and its wait() has resumed, or nobody will ever ask again. Never
  // waits.
  virtual void forget(process_id id) = 0;

  // The absolute path of a program as spawn() would find it, without starting anything. ENOENT when it is not
  // there.
  virtual awaitable<outcome<std::string>> find_program(std::string name) = 0;

  // What a spawned process sees of the place's own environment; never waits.
  virtual std::optional<std::string> environment(const std::string& name) const = 0;
  virtual std::string home() const = 0;

  // status() follows symbolic links; list() is unsorted and fails with EOVERFLOW above 100,000 entries.
  virtual awaitable<outcome<file_status>> status(std::string path) = 0;
  virtual awaitable<outcome<std::vector<file_entry>>> list(std::string path) = 0;
  virtual awaitable<outcome<descriptor>> open(std::string path, open_mode how, std::uint32_t mode = 0644) = 0;

  // Like mkdir -p: succeeds when it is there already.
  virtual awaitable<outcome<done>> make_directory(std::string path) = 0;

  // A new symbolic link at `path`, parents created; EEXIST when something is there. The target is not
  // checked: following it is what is confined.
  virtual awaitable<outcome<done>> make_symlink(std::string target, std::string path) = 0;

  // Creates missing parents of `to`. An existing `to` is EEXIST unless `overwrite`.
  virtual awaitable<outcome<done>> move(std::string from, std::string to, bool overwrite) = 0;

  // A symbolic link itself, never what it names. A folder that is not empty is ENOTEMPTY unless `recursive`.
  virtual awaitable<outcome<done>> remove(std::string path, bool recursive) = 0;
};

}  // namespace troupe::sandboxd
